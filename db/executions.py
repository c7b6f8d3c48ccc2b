"""Agents' executions: each change and its events in one transaction. Whatever lets an agent work calls these.

Idempotent: a status that an execution has already changes nothing and tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.run_shelves import AGENT_EXECUTIONS
from db.tables import agent_executions
from db.watched import Told, tell
from domain.errors import InvalidInputError, NotFoundError
from domain.events.runs import AgentExecutionChanged, AgentExecutionPayload, AgentExecutionStatus
from domain.run_views import AgentExecutionView
from domain.runs import EXECUTION_STEPS, ExecutionStatus

_AGENT: Final = text("SELECT 1 FROM ai_agents WHERE id = :id")
_NAMES: Final[Mapping[ExecutionStatus, Any]] = {
    ExecutionStatus.PENDING: "agent.execution.created",
    ExecutionStatus.RUNNING: "agent.execution.started",
    ExecutionStatus.COMPLETED: "agent.execution.completed",
    ExecutionStatus.FAILED: "agent.execution.failed",
    ExecutionStatus.CANCELLED: "agent.execution.cancelled",
}
MAX_ERROR_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class NewExecution:
    """An execution to be made."""

    agent_id: UUID
    input_parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ExecutionChange:
    """What becomes of an execution. A failed one says why; cost in US dollars; None: as it was."""

    status: ExecutionStatus
    output_data: Mapping[str, object] | None = None
    error_message: str | None = None
    error_details: Mapping[str, object] | None = None
    tokens_used: int | None = None
    cost_usd: Decimal | None = None


def aggregate_of(account_id: UUID, row_id: UUID) -> Aggregate:
    """Return an execution's aggregate; its version is `agent_executions.version`."""
    return Aggregate(account_id, f"agent_execution:{row_id}")


async def create(conn: AsyncConnection, account_id: UUID, new: NewExecution) -> Told[AgentExecutionView]:
    """Store an execution that waits to begin. Raises NotFoundError for an agent that the account has not."""
    if (await conn.execute(_AGENT, {"id": new.agent_id})).first() is None:
        raise NotFoundError("No such agent")
    row_id = uuid4()
    await conn.execute(
        insert(agent_executions).values(
            id=row_id,
            account_id=account_id,
            execution_id=f"exec_{uuid4().hex}",
            agent_id=new.agent_id,
            user_id=new.user_id,
            input_parameters=dict(new.input_parameters),
        )
    )
    return await _tell(conn, account_id, row_id)


async def change(
    conn: AsyncConnection, account_id: UUID, row_id: UUID, wanted: ExecutionChange
) -> Told[AgentExecutionView]:
    """Move an execution to a status.

    Raises NotFoundError, ConflictError when no step leads there, InvalidInputError for a failure without a reason.
    """
    if wanted.status is ExecutionStatus.FAILED and not wanted.error_message:
        raise InvalidInputError("An execution that failed says why")
    values = {
        "output_data": None if wanted.output_data is None else dict(wanted.output_data),
        "error_message": wanted.error_message and wanted.error_message[:MAX_ERROR_CHARS],
        "error_details": None if wanted.error_details is None else dict(wanted.error_details),
        "tokens_used": wanted.tokens_used,
        "cost_usd": wanted.cost_usd,
    }
    given = {name: value for name, value in values.items() if value is not None}
    if not await AGENT_EXECUTIONS.step(conn, row_id, wanted.status, EXECUTION_STEPS, given):
        return Told((await AGENT_EXECUTIONS.now(conn, row_id))[0], ())
    return await _tell(conn, account_id, row_id)


async def _tell(conn: AsyncConnection, account_id: UUID, row_id: UUID) -> Told[AgentExecutionView]:
    view, at = await AGENT_EXECUTIONS.now(conn, row_id)
    status = AgentExecutionStatus(timestamp=at, execution_id=view.execution_id, status=view.status, execution=view)
    enveloped = AgentExecutionChanged(
        account_id=account_id,
        timestamp=at,
        event=_NAMES[view.status],
        resource_id=view.execution_id,
        payload=AgentExecutionPayload(agent_id=view.agent_id, execution_id=view.execution_id, execution=view),
    )
    return Told(view, (await tell(conn, aggregate_of(account_id, row_id), view.version, [status, enveloped]),))
