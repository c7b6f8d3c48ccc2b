"""Budgets for AI spend: list, set, lift; and what dead turns hold of them. Reserving and charging is done by the functions
of the turn itself (db/functions/25_budgets.sql). Called by api/budgets.py and the worker's sweeper.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rows import mapping
from db.session import Database
from domain.budget import BudgetPeriod
from domain.errors import NotFoundError
from domain.views import BudgetView

STALE_AFTER: Final = timedelta(hours=1)
"""A model request with all its retries ends long before (workflows/policies.py): what is older belongs to a dead turn."""

_AT_MOST: Final = 500
# A period that is over counts as begun anew, although no request has told the row yet.
_SELECT: Final = """
    SELECT x.id, x.agent_id, x.agent, x.period, x.cap_tokens, x.spent, x.reserved,
        GREATEST(x.cap_tokens - x.spent - x.reserved, 0) AS remaining, x.resets_at, x.created_at, x.version
    FROM (
        SELECT b.id, b.agent_id, (SELECT a.name FROM ai_agents a WHERE a.id = b.agent_id) AS agent, b.period,
            b.cap_tokens, b.reserved_tokens AS reserved, flow.period_end(b.period) AS resets_at, b.created_at, b.version,
            CASE WHEN b.period_started_at < flow.period_start(b.period) THEN 0 ELSE b.spent_tokens END AS spent
        FROM ai_budgets b
    ) x
"""
_LIST: Final = text(f"{_SELECT} ORDER BY x.agent NULLS FIRST, x.agent_id, x.period")
_ONE: Final = text(f"{_SELECT} WHERE x.id = :id")
_AGENT: Final = text("SELECT 1 FROM ai_agents WHERE id = :id")
_PUT: Final = text(
    """
    INSERT INTO ai_budgets AS b (id, account_id, agent_id, period, cap_tokens)
    VALUES (:id, app_account(), :agent_id, :period, :cap_tokens)
    ON CONFLICT (account_id, agent_id, period) DO UPDATE SET cap_tokens = excluded.cap_tokens, version = b.version + 1
    RETURNING b.id
    """
)
_DELETE: Final = text("DELETE FROM ai_budgets WHERE id = :id RETURNING id")
_STALE: Final = text("SELECT account_id, turn_id FROM stale_reservations(:older_than, :at_most)")
_RELEASE: Final = "SELECT flow.release_budget($1, $2)"


@dataclass(frozen=True, slots=True)
class Cap:
    """What may be spent in a period: by one agent, or by all of the account."""

    agent_id: UUID | None
    period: BudgetPeriod
    cap_tokens: int


async def listing(conn: AsyncConnection) -> list[BudgetView]:
    """Return all budgets of the entered account: the account's own, then by agent."""
    return [BudgetView.model_validate(dict(mapping(row))) for row in await conn.execute(_LIST)]


async def put(conn: AsyncConnection, cap: Cap) -> BudgetView:
    """Set a budget; what was spent in the running period stays. Idempotent by agent and period.

    Raises NotFoundError for a foreign agent.
    """
    if cap.agent_id is not None and (await conn.execute(_AGENT, {"id": cap.agent_id})).one_or_none() is None:
        raise NotFoundError("No such agent")
    values = {"id": uuid4(), "agent_id": cap.agent_id, "period": cap.period.value, "cap_tokens": cap.cap_tokens}
    budget_id: UUID = (await conn.execute(_PUT, values)).scalar_one()
    return BudgetView.model_validate(dict(mapping((await conn.execute(_ONE, {"id": budget_id})).one())))


async def remove(conn: AsyncConnection, budget_id: UUID) -> None:
    """Lift a budget. Raises NotFoundError."""
    if (await conn.execute(_DELETE, {"id": budget_id})).one_or_none() is None:
        raise NotFoundError("No such budget")


async def stale(conn: AsyncConnection) -> list[tuple[UUID, UUID]]:
    """Return (account, turn) of reservations that no live request can hold, of all accounts."""
    found = await conn.execute(_STALE, {"older_than": STALE_AFTER, "at_most": _AT_MOST})
    return [(row.account_id, row.turn_id) for row in found]


async def release(db: Database, account_id: UUID, turn_id: UUID) -> None:
    """Give back what a turn holds. Idempotent."""
    await db.call(_RELEASE, account_id, turn_id)
