"""Workflow runs and their nodes: each change and its events in one transaction. The engine that executes calls these.

Idempotent: a status that a row has already changes nothing and tells nothing, so an activity may repeat itself.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import dashboards
from db.outbox import Aggregate
from db.run_shelves import NODES, WORKFLOW_RUNS
from db.tables import ai_node_executions, ai_workflow_runs, ai_workflows
from db.watched import ENDED, Told, tell
from domain.errors import ConflictError, InvalidInputError, NotFoundError
from domain.events.base import Event
from domain.events.runs import (
    NodeExecutionUpdated,
    NodePayload,
    RunPayload,
    WorkflowRunCompleted,
    WorkflowRunCreated,
    WorkflowRunProgressChanged,
    WorkflowRunStatusChanged,
)
from domain.run_views import NodeExecutionView, WorkflowRunView
from domain.runs import NODE_STEPS, RUN_STEPS, NodeStatus, RunStatus, TriggerType, WorkflowStatus

_RECOUNT: Final = text(
    """
    UPDATE ai_workflow_runs r SET completed_nodes = c.completed, failed_nodes = c.failed,
        total_nodes = GREATEST(r.total_nodes, c.known), total_cost = c.cost, version = r.version + 1
    FROM (SELECT count(*) AS known, count(*) FILTER (WHERE status IN ('completed', 'skipped')) AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed, COALESCE(sum(cost), 0) AS cost
        FROM ai_node_executions WHERE workflow_run_id = :run) c
    WHERE r.id = :run
    """
)


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be made of a workflow."""

    workflow_id: UUID
    trigger_type: TriggerType = TriggerType.MANUAL
    input_variables: Mapping[str, object] = field(default_factory=dict[str, object])
    triggered_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class RunChange:
    """What becomes of a run. A failed one says why."""

    status: RunStatus
    output_variables: Mapping[str, object] | None = None
    error_details: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What becomes of a node of a run; one that is not known yet is made. `cost` in US dollars; None: as it was."""

    node_id: str
    node_type: str
    name: str
    status: NodeStatus
    input_data: Mapping[str, object] | None = None
    output_data: Mapping[str, object] | None = None
    error_details: Mapping[str, object] | None = None
    cost: Decimal | None = None


def aggregate_of(account_id: UUID, run_id: UUID) -> Aggregate:
    """Return a run's aggregate, its nodes' events too; its version is `ai_workflow_runs.version`."""
    return Aggregate(account_id, f"workflow_run:{run_id}")


def uuid7() -> str:
    """Return a new id that sorts by time (RFC 9562, version 7)."""
    random = secrets.randbits(74)
    value = (time.time_ns() // 1_000_000) << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1
    return str(UUID(int=value))


async def create(conn: AsyncConnection, account_id: UUID, new: NewRun) -> Told[WorkflowRunView]:
    """Store a run that waits to begin. Raises NotFoundError, ConflictError for a workflow that is not active."""
    found = select(ai_workflows.c.status, ai_workflows.c.nodes).where(ai_workflows.c.id == new.workflow_id)
    workflow = (await conn.execute(found.with_for_update(read=True))).one_or_none()
    if workflow is None:
        raise NotFoundError("No such workflow")
    if workflow.status != WorkflowStatus.ACTIVE:
        raise ConflictError(f"A workflow that is {workflow.status} cannot be executed")
    row_id = uuid4()
    await conn.execute(
        insert(ai_workflow_runs).values(
            id=row_id,
            account_id=account_id,
            run_id=uuid7(),
            workflow_id=new.workflow_id,
            trigger_type=new.trigger_type.value,
            triggered_by=new.triggered_by,
            total_nodes=len(workflow.nodes),
            input_variables=dict(new.input_variables),
        )
    )
    return await _tell(conn, account_id, row_id, [WorkflowRunCreated], dashboard=True)


async def change(conn: AsyncConnection, account_id: UUID, row_id: UUID, wanted: RunChange) -> Told[WorkflowRunView]:
    """Move a run to a status. Cancelling takes its open nodes with it.

    Raises NotFoundError, ConflictError when no step leads there, InvalidInputError for a failure without a reason.
    """
    if wanted.status is RunStatus.FAILED and not wanted.error_details:
        raise InvalidInputError("A run that failed says why")
    values = {"output_variables": wanted.output_variables, "error_details": wanted.error_details}
    given = {name: dict(value) for name, value in values.items() if value is not None}
    if not await WORKFLOW_RUNS.step(conn, row_id, wanted.status, RUN_STEPS, given):
        return Told((await WORKFLOW_RUNS.now(conn, row_id))[0], ())
    cancelled = wanted.status is RunStatus.CANCELLED
    nodes: Sequence[UUID] = await _cancel_nodes(conn, row_id) if cancelled else ()
    kinds: list[type[_RunEvent]] = [WorkflowRunStatusChanged]
    kinds += [WorkflowRunCompleted] if wanted.status.value in ENDED else []
    return await _tell(conn, account_id, row_id, kinds, nodes=nodes, dashboard=True)


async def change_node(
    conn: AsyncConnection, account_id: UUID, row_id: UUID, wanted: NodeChange
) -> Told[NodeExecutionView]:
    """Move a node of a run to a status; going on after a failure counts as a retry. The run's counts and cost follow.

    Raises NotFoundError, ConflictError when no step leads there, the run has ended, or no retry is left.
    """
    run = await WORKFLOW_RUNS.lock(conn, row_id)
    if run["status"] in ENDED:
        raise ConflictError(f"The run is {run['status']}")
    node_row_id, fresh = await _keep(conn, account_id, row_id, wanted)
    before = await NODES.lock(conn, node_row_id)
    values = _given(wanted) | {"version": run["version"] + 1}
    if before["status"] == NodeStatus.FAILED and wanted.status is NodeStatus.RUNNING:
        if before["retry_count"] >= before["max_retries"]:
            raise ConflictError("No retry is left")
        values |= {"retry_count": before["retry_count"] + 1}
    moved = await NODES.step(conn, node_row_id, wanted.status, NODE_STEPS, values)
    if not moved and not fresh:
        return Told((await NODES.now(conn, node_row_id))[0], ())
    await conn.execute(_RECOUNT, {"run": row_id})
    told = await _tell(conn, account_id, row_id, [WorkflowRunProgressChanged], nodes=[node_row_id], dashboard=False)
    return Told((await NODES.now(conn, node_row_id))[0], told.aggregates)


_RunEvent = WorkflowRunCreated | WorkflowRunStatusChanged | WorkflowRunProgressChanged | WorkflowRunCompleted


def _given(wanted: NodeChange) -> dict[str, Any]:
    data = {"input_data": wanted.input_data, "output_data": wanted.output_data, "error_details": wanted.error_details}
    values: dict[str, Any] = {name: dict(value) for name, value in data.items() if value is not None}
    return values | ({"cost": wanted.cost} if wanted.cost is not None else {})


async def _keep(conn: AsyncConnection, account_id: UUID, row_id: UUID, wanted: NodeChange) -> tuple[UUID, bool]:
    """Return a node's row id and whether it was made just now; its run is locked."""
    nodes = ai_node_executions.c
    known = select(nodes.id).where(nodes.workflow_run_id == row_id, nodes.node_id == wanted.node_id)
    node_row_id: UUID | None = (await conn.execute(known)).scalar_one_or_none()
    if node_row_id is not None:
        return node_row_id, False
    made = uuid4()
    version = select(ai_workflow_runs.c.version + 1).where(ai_workflow_runs.c.id == row_id).scalar_subquery()
    await conn.execute(
        insert(ai_node_executions).values(
            id=made,
            account_id=account_id,
            workflow_run_id=row_id,
            execution_id=uuid7(),
            node_id=wanted.node_id,
            node_type=wanted.node_type,
            name=wanted.name,
            version=version,
            **_given(wanted),
        )
    )
    return made, True


async def _cancel_nodes(conn: AsyncConnection, row_id: UUID) -> Sequence[UUID]:
    found = await conn.execute(
        text(
            """
            UPDATE ai_node_executions n SET status = 'cancelled', completed_at = now(), version = r.version
            FROM ai_workflow_runs r WHERE r.id = n.workflow_run_id AND r.id = :run
              AND n.status IN ('pending', 'running', 'waiting_approval') RETURNING n.id
            """
        ),
        {"run": row_id},
    )
    return found.scalars().all()


async def _tell(
    conn: AsyncConnection,
    account_id: UUID,
    row_id: UUID,
    kinds: Sequence[type[_RunEvent]],
    *,
    nodes: Sequence[UUID] = (),
    dashboard: bool,
) -> Told[WorkflowRunView]:
    run, at = await WORKFLOW_RUNS.now(conn, row_id)
    events: list[Event] = []
    for node_row_id in nodes:
        node, _ = await NODES.now(conn, node_row_id)
        payload = _node_payload(run, node)
        events.append(
            NodeExecutionUpdated(account_id=account_id, timestamp=at, resource_id=node.execution_id, payload=payload)
        )
    events += [
        kind(account_id=account_id, timestamp=at, resource_id=run.run_id, payload=RunPayload(workflow_run=run))
        for kind in kinds
    ]
    aggregate = await tell(conn, aggregate_of(account_id, row_id), run.version, events)
    return Told(run, (aggregate, await dashboards.refresh(conn, account_id)) if dashboard else (aggregate,))


def _node_payload(run: WorkflowRunView, node: NodeExecutionView) -> NodePayload:
    return NodePayload(
        id=node.id,
        execution_id=node.execution_id,
        status=node.status,
        node_name=node.node.name,
        node_type=node.node.node_type,
        started_at=node.started_at,
        completed_at=node.completed_at,
        duration_ms=node.execution_time_ms,
        workflow_run_id=run.id,
        run_id=run.run_id,
        workflow_id=run.ai_workflow_id,
        node_execution=node,
    )
