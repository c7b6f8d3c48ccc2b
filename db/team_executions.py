"""Executions of teams: begun, moved on, asked by people; each change leaves its event in the outbox, in one transaction.

They return the aggregate that the caller names to the dispatcher once its transaction is committed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.paging import fetch_page
from db.rows import mapping
from db.tables import team_executions
from db.telling import acting_account, tell
from domain.errors import ConflictError, InvalidInputError, NotFoundError
from domain.events.base import Event
from domain.events.teams import (
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionPaused,
    ExecutionProgress,
    ExecutionRedirected,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTimeout,
    MemberCompleted,
    PlanAwaitingApproval,
)
from domain.teams import OVER, ControlSignal, ExecutionStatus, MemberStepView, TeamCommand, TeamExecutionView

_COLUMNS: Final = """
    e.id, e.execution_id, e.team_id, e.status, e.objective, e.tasks_total, e.tasks_completed, e.tasks_failed,
    CASE WHEN e.status = 'completed' THEN 100
         ELSE round(100.0 * (e.tasks_completed + e.tasks_failed) / GREATEST(e.tasks_total, 1))::int END AS progress,
    e.control_signal, e.redirect_instructions, e.total_tokens_used, e.total_cost_usd, e.approval_decision,
    e.approval_feedback, e.error, e.started_at, e.completed_at, e.created_at, e.version
"""
_MORE: Final = f"""
    {_COLUMNS}, e.account_id, now() AS at,
    floor(EXTRACT(EPOCH FROM e.completed_at - e.started_at) * 1000)::bigint AS duration_ms
"""
_LIST: Final = text(
    f"""
    SELECT {_COLUMNS}, count(*) OVER () AS total FROM team_executions e
    WHERE e.team_id = :team_id AND (CAST(:status AS text) IS NULL OR e.status = :status)
    ORDER BY e.created_at DESC, e.id LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
)
_OPEN: Final = text(
    f"""
    SELECT {_COLUMNS} FROM team_executions e
    WHERE e.team_id = :team_id AND e.status IN ('pending', 'running', 'paused', 'awaiting_approval')
    ORDER BY e.created_at, e.id LIMIT 20
    """  # noqa: S608 - constant columns
)
_ONE: Final = text(f"SELECT {_MORE} FROM team_executions e WHERE e.id = :id")  # noqa: S608 - constant columns
_ENDINGS: Final = {
    ExecutionStatus.COMPLETED: ExecutionCompleted,
    ExecutionStatus.FAILED: ExecutionFailed,
    ExecutionStatus.TIMEOUT: ExecutionTimeout,
    ExecutionStatus.CANCELLED: ExecutionCancelled,
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an execution is, and who works just now. None leaves a figure as it is."""

    tasks_total: int | None = None
    tasks_completed: int | None = None
    tasks_failed: int | None = None
    tokens_used: int | None = None
    current_member: str | None = None
    current_role: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended. `error`: for what did not come to its end, fit to be shown."""

    status: ExecutionStatus
    result: Mapping[str, object] | None = None
    error: str | None = None


def execution_view(row: Row[Any]) -> TeamExecutionView:
    """Build an execution's view."""
    names = TeamExecutionView.model_fields
    return TeamExecutionView.model_validate({name: value for name, value in mapping(row).items() if name in names})


async def start(conn: AsyncConnection, team_id: UUID, objective: str, tasks_total: int) -> tuple[UUID, Aggregate]:
    """Store an execution that runs; return its id. The team must be the account's."""
    row_id = uuid4()
    values = {
        "id": row_id, "account_id": await acting_account(conn), "team_id": team_id, "objective": objective,
        "execution_id": f"exec_{secrets.token_hex(12)}", "status": "running", "tasks_total": tasks_total,
        "started_at": func.now(),
    }  # fmt: skip
    await conn.execute(insert(team_executions).values(values))
    row = await _row(conn, row_id)
    return row_id, await _tell(conn, row, ExecutionStarted(**_head(row)))


async def advance(conn: AsyncConnection, execution_id: UUID, progress: Progress) -> Aggregate:
    """Keep how far an execution is. Raises NotFoundError; ConflictError when it is over."""
    await _unfinished(conn, execution_id)
    figures = {
        "tasks_total": progress.tasks_total, "tasks_completed": progress.tasks_completed,
        "tasks_failed": progress.tasks_failed, "total_tokens_used": progress.tokens_used,
    }  # fmt: skip
    row = await _change(conn, execution_id, {name: value for name, value in figures.items() if value is not None})
    event = ExecutionProgress(**_head(row), current_member=progress.current_member, current_role=progress.current_role)
    return await _tell(conn, row, event)


async def member_done(conn: AsyncConnection, execution_id: UUID, step: MemberStepView) -> Aggregate:
    """Count a member's part as done, or as failed. Raises NotFoundError; ConflictError when the execution is over."""
    await _unfinished(conn, execution_id)
    counted = "tasks_completed" if step.member_success else "tasks_failed"
    row = await _change(conn, execution_id, {counted: team_executions.c[counted] + 1})
    return await _tell(conn, row, MemberCompleted(**_head(row), **step.model_dump()))


async def end(conn: AsyncConnection, execution_id: UUID, ending: Ending) -> Aggregate:
    """End an execution. Raises NotFoundError; ConflictError when it is over; InvalidInputError for what is no end."""
    if ending.status not in OVER:
        raise InvalidInputError(f"An execution does not end as {ending.status}")
    await _unfinished(conn, execution_id)
    values = {
        "status": ending.status.value, "result": dict(ending.result or {}), "error": ending.error,
        "control_signal": None, "completed_at": func.now(),
    }  # fmt: skip
    row = await _change(conn, execution_id, values)
    kind = _ENDINGS[ending.status]
    more: dict[str, Any] = {"result": values["result"]} if kind is ExecutionCompleted else {"error": ending.error}
    head = _head(row) if kind is ExecutionCancelled else _head(row) | more | {"duration_ms": row.duration_ms}
    return await _tell(conn, row, kind(**head))


async def obey(conn: AsyncConnection, execution_id: UUID) -> tuple[ControlSignal | None, Aggregate | None]:
    """Take what people asked of an execution, as whoever runs it does before each step: what was taken is no longer asked.

    A pause stands until it is taken back; a cancellation ends the execution. Raises NotFoundError, ConflictError.
    """
    before = await _unfinished(conn, execution_id)
    asked = ControlSignal(before.control_signal) if before.control_signal else None
    if asked is ControlSignal.CANCEL:
        return asked, await end(conn, execution_id, Ending(ExecutionStatus.CANCELLED))
    if asked is ControlSignal.PAUSE:
        if before.status == ExecutionStatus.PAUSED:
            return asked, None
        row = await _change(conn, execution_id, {"status": "paused"})
        return asked, await _tell(conn, row, ExecutionPaused(**_head(row)))
    if asked is ControlSignal.REDIRECT:
        row = await _change(conn, execution_id, {"control_signal": None, "status": "running"})
        event = ExecutionRedirected(**_head(row), instructions=row.redirect_instructions or "")
        return asked, await _tell(conn, row, event)
    if before.status == ExecutionStatus.PAUSED:
        row = await _change(conn, execution_id, {"status": "running"})
        return None, await _tell(conn, row, ExecutionResumed(**_head(row)))
    return None, None


async def await_approval(
    conn: AsyncConnection, execution_id: UUID, conversation_id: UUID | None, message_id: UUID | None
) -> Aggregate:
    """Let an execution wait for a person's word on its plan. Raises NotFoundError, ConflictError."""
    await _unfinished(conn, execution_id)
    row = await _change(conn, execution_id, {"status": "awaiting_approval"})
    event = PlanAwaitingApproval(**_head(row), conversation_id=conversation_id, message_id=message_id)
    return await _tell(conn, row, event)


async def command(
    conn: AsyncConnection, team_id: UUID, public_id: str, asked: TeamCommand, instructions: str | None = None
) -> Aggregate:
    """Keep what a person asks of an execution, for whoever runs it to obey.

    Raises NotFoundError; ConflictError when it is over, or does not stand still and shall go on; InvalidInputError for a
    redirection without instructions.
    """
    if asked is TeamCommand.REDIRECT and not (instructions or "").strip():
        raise InvalidInputError("A redirection needs instructions")
    chosen = select(team_executions.c.id).where(
        team_executions.c.team_id == team_id, team_executions.c.execution_id == public_id
    )
    row_id = (await conn.execute(chosen)).scalar_one_or_none()
    if row_id is None:
        raise NotFoundError("No such execution")
    before = await _unfinished(conn, row_id)
    if before.control_signal == ControlSignal.CANCEL:
        raise ConflictError("The execution is being cancelled")
    paused = before.status == ExecutionStatus.PAUSED or before.control_signal == ControlSignal.PAUSE
    if asked is TeamCommand.RESUME and not paused:
        raise ConflictError("The execution does not stand still")
    values: dict[str, object] = {"control_signal": None if asked is TeamCommand.RESUME else asked.value}
    if asked is TeamCommand.REDIRECT:
        values["redirect_instructions"] = instructions
    row = await _change(conn, row_id, values)
    return await _tell(conn, row, ExecutionProgress(**_head(row)))


async def get(conn: AsyncConnection, team_id: UUID, execution_id: UUID) -> TeamExecutionView:
    """Return an execution of a team. Raises NotFoundError."""
    row = (await conn.execute(_ONE, {"id": execution_id})).one_or_none()
    if row is None or row.team_id != team_id:
        raise NotFoundError("No such execution")
    return execution_view(row)


async def unfinished(conn: AsyncConnection, team_id: UUID) -> list[TeamExecutionView]:
    """Return what a team has under way, the oldest first, 20 at most."""
    return [execution_view(row) for row in await conn.execute(_OPEN, {"team_id": team_id})]


async def listing(
    conn: AsyncConnection, team_id: UUID, *, status: str | None, limit: int, offset: int
) -> tuple[list[TeamExecutionView], int]:
    """Return a page, the newest first, and how many there are."""
    rows, total = await fetch_page(conn, _LIST, {"team_id": team_id, "status": status}, limit=limit, offset=offset)
    return [execution_view(row) for row in rows], total


async def _unfinished(conn: AsyncConnection, row_id: UUID) -> Row[Any]:
    chosen = select(team_executions).where(team_executions.c.id == row_id).with_for_update()
    row = (await conn.execute(chosen)).one_or_none()
    if row is None:
        raise NotFoundError("No such execution")
    if ExecutionStatus(row.status) in OVER:
        raise ConflictError(f"The execution is {row.status}", details={"status": row.status})
    return row


async def _change(conn: AsyncConnection, row_id: UUID, values: Mapping[str, object]) -> Row[Any]:
    touched = {"version": team_executions.c.version + 1, **values}
    await conn.execute(update(team_executions).where(team_executions.c.id == row_id).values(touched))
    return await _row(conn, row_id)


async def _row(conn: AsyncConnection, row_id: UUID) -> Row[Any]:
    return (await conn.execute(_ONE, {"id": row_id})).one()


def _head(row: Row[Any]) -> dict[str, Any]:
    same = ("team_id", "execution_id", "status", "progress", "tasks_total", "tasks_completed", "tasks_failed")
    values = {name: mapping(row)[name] for name in same}
    return {**values, "job_id": row.execution_id, "execution": execution_view(row), "timestamp": row.at}


async def _tell(conn: AsyncConnection, row: Row[Any], event: Event) -> Aggregate:
    return await tell(conn, Aggregate(row.account_id, f"team_execution:{row.id}"), row.version, event)
