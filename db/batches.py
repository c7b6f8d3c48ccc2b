"""Batches of workflow runs: each change and its events in one transaction. Idempotent by the status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.loop_shelves import BATCHES
from db.outbox import Aggregate
from db.tables import ai_batch_executions
from db.watched import Told, tell
from domain.errors import NotFoundError
from domain.events.base import Event
from domain.events.loops import BatchExecutionChanged, BatchPayload, BatchWorkflowChanged, BatchWorkflowPayload
from domain.loop_views import BatchExecutionView, BatchWorkflowView
from domain.runs import BATCH_STEPS, BatchStatus


def aggregate_of(account_id: UUID, row_id: UUID) -> Aggregate:
    """Return a batch's aggregate; its version is `ai_batch_executions.version`."""
    return Aggregate(account_id, f"batch:{row_id}")


async def create(conn: AsyncConnection, account_id: UUID, workflow_ids: Sequence[UUID]) -> Told[BatchExecutionView]:
    """Store a batch that waits to begin."""
    row_id = uuid4()
    workflows = [{"workflow_id": str(one), "run_id": None, "status": "pending"} for one in workflow_ids]
    await conn.execute(
        insert(ai_batch_executions).values(
            id=row_id, account_id=account_id, batch_id=f"batch_{uuid4().hex}", workflows=workflows
        )
    )
    return await _tell(conn, account_id, row_id, "batch.execution.progress")


async def change(
    conn: AsyncConnection, account_id: UUID, row_id: UUID, status: BatchStatus, *, error: str | None = None
) -> Told[BatchExecutionView]:
    """Move a batch to a status. Raises NotFoundError, ConflictError when no step leads there."""
    before = await BATCHES.lock(conn, row_id)
    if not await BATCHES.step(conn, row_id, status, BATCH_STEPS, {"error_message": error} if error else {}):
        return Told((await BATCHES.now(conn, row_id))[0], ())
    resumed = before["status"] == BatchStatus.PAUSED and status is BatchStatus.RUNNING
    name = "resumed" if resumed else "started" if status is BatchStatus.RUNNING else status.value
    return await _tell(conn, account_id, row_id, f"batch.execution.{name}")


async def change_workflow(
    conn: AsyncConnection, account_id: UUID, row_id: UUID, wanted: BatchWorkflowView
) -> Told[BatchExecutionView]:
    """Say how one workflow of a batch goes: `running`, `completed`, `failed` or `cancelled`.

    Raises NotFoundError, also for a workflow that is not part of the batch.
    """
    workflows: list[dict[str, Any]] = list((await BATCHES.lock(conn, row_id))["workflows"])
    places = [place for place, one in enumerate(workflows) if one["workflow_id"] == wanted.workflow_id]
    if not places:
        raise NotFoundError("No such workflow in the batch")
    entry = wanted.model_dump(mode="json")
    if workflows[places[0]] == entry:
        return Told((await BATCHES.now(conn, row_id))[0], ())
    workflows[places[0]] = entry
    await BATCHES.change(conn, row_id, {"workflows": workflows})
    name = {"running": "started", "completed": "completed", "failed": "failed"}.get(wanted.status)
    return await _tell(conn, account_id, row_id, "batch.execution.progress", about=(name, wanted) if name else None)


async def _tell(
    conn: AsyncConnection,
    account_id: UUID,
    row_id: UUID,
    name: Any,
    *,
    about: tuple[str, BatchWorkflowView] | None = None,
) -> Told[BatchExecutionView]:
    view, at = await BATCHES.now(conn, row_id)
    base: dict[str, Any] = {field: getattr(view, field) for field in BatchPayload.model_fields if field != "batch"}
    base["batch"] = view
    head: dict[str, Any] = {"account_id": account_id, "timestamp": at, "resource_id": view.batch_id}
    events: list[Event] = [BatchExecutionChanged(**head, event=name, payload=BatchPayload(**base))]
    if about is not None:
        payload = BatchWorkflowPayload(**base, workflow=about[1])
        what: Any = f"batch.workflow.{about[0]}"
        events.insert(0, BatchWorkflowChanged(**head, event=what, payload=payload))
    return Told(view, (await tell(conn, aggregate_of(account_id, row_id), view.version, events),))
