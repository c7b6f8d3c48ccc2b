"""Workflows: made and changed by people, told to who watches them in the same transaction. Called by api/orders_runs.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.run_shelves import WORKFLOW_DETAILS, WORKFLOWS
from db.tables import ai_workflows
from db.watched import Told, tell
from domain.errors import ConflictError, InvalidInputError
from domain.events.runs import WorkflowCollaborativeUpdate
from domain.run_views import WorkflowDetailView, WorkflowEdgeView, WorkflowNodeView
from domain.workflow_plan import WorkflowFields, WorkflowUpdates, plan_fault


@dataclass(frozen=True, slots=True)
class NewWorkflow:
    """A workflow to be made, with its plan, and by whom."""

    fields: WorkflowFields
    nodes: Sequence[WorkflowNodeView] = field(default_factory=tuple)
    edges: Sequence[WorkflowEdgeView] = field(default_factory=tuple)
    created_by: UUID | None = None


def aggregate_of(account_id: UUID, workflow_id: UUID) -> Aggregate:
    """Return a workflow's aggregate; its version is `ai_workflows.version`."""
    return Aggregate(account_id, f"workflow:{workflow_id}")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:150].strip("-") or "workflow"


def _check(nodes: Sequence[WorkflowNodeView], edges: Sequence[WorkflowEdgeView]) -> None:
    fault = plan_fault(nodes, edges)
    if fault is not None:
        raise InvalidInputError(f"The plan does not fit: {fault}")


def _plain(items: Sequence[WorkflowNodeView] | Sequence[WorkflowEdgeView]) -> list[dict[str, Any]]:
    return [item.model_dump(mode="json") for item in items]


async def _tell(
    conn: AsyncConnection, account_id: UUID, workflow_id: UUID, by: UUID | None, action: Any
) -> Told[WorkflowDetailView]:
    summary, at = await WORKFLOWS.now(conn, workflow_id)
    view, _ = await WORKFLOW_DETAILS.now(conn, workflow_id)
    event = WorkflowCollaborativeUpdate(
        account_id=account_id, workflow_id=workflow_id, updated_by=by, action=action, workflow=summary, timestamp=at
    )
    return Told(view, (await tell(conn, aggregate_of(account_id, workflow_id), view.version, [event]),))


async def create(conn: AsyncConnection, account_id: UUID, new: NewWorkflow) -> Told[WorkflowDetailView]:
    """Make a workflow. Raises ConflictError when slug and version are taken, InvalidInputError for a plan that does not fit."""
    _check(new.nodes, new.edges)
    wanted = new.fields
    slug = wanted.slug or _slug(wanted.name)
    workflow_id = uuid4()
    made = (
        insert(ai_workflows)
        .values(
            id=workflow_id,
            account_id=account_id,
            name=wanted.name,
            description=wanted.description,
            slug=slug,
            status=wanted.standing().value,
            visibility=wanted.visibility.value,
            workflow_type=wanted.workflow_type,
            workflow_version=wanted.version,
            configuration=wanted.configuration,
            nodes=_plain(new.nodes),
            edges=_plain(new.edges),
            created_by=new.created_by,
        )
        .on_conflict_do_nothing(index_elements=["account_id", "slug", "workflow_version"])
        .returning(ai_workflows.c.id)
    )
    if (await conn.execute(made)).scalar_one_or_none() is None:
        raise ConflictError(f"There is a workflow {slug} {wanted.version} already")
    return await _tell(conn, account_id, workflow_id, new.created_by, "created")


async def change(
    conn: AsyncConnection, account_id: UUID, workflow_id: UUID, updates: WorkflowUpdates, by: UUID | None
) -> Told[WorkflowDetailView]:
    """Change what is given. Raises NotFoundError, InvalidInputError for a plan that does not fit any more."""
    await WORKFLOWS.lock(conn, workflow_id)
    before, at = await WORKFLOW_DETAILS.now(conn, workflow_id)
    nodes = before.nodes if updates.nodes is None else updates.nodes
    edges = before.edges if updates.edges is None else updates.edges
    _check(nodes, edges)
    values = updates.model_dump(mode="json", exclude_unset=True)
    kept = {name: value for name, value in values.items() if value is not None or name == "description"}
    await WORKFLOWS.change(conn, workflow_id, {**kept, "updated_at": at})
    return await _tell(conn, account_id, workflow_id, by, "updated")
