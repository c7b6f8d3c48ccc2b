"""Customers of the installation, which are accounts: one's own, and for platform administrators all.

Who looks across accounts is named to Postgres, which asks the flag anew (`all_customers`): a permission that a process
remembers shows nothing.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.rows import mapping
from db.telling import tell
from domain.errors import NotFoundError
from domain.events.people import CustomerUpdated
from domain.people import AccountStatus, CustomerPlanView, CustomerView, to_cents

AT_MOST: Final = 10
_WANTED: Final = """
    WHERE (:query = '' OR position(lower(:query) IN lower(c.name)) > 0 OR position(lower(:query) IN lower(c.subdomain)) > 0)
      AND (CAST(:status AS text) IS NULL OR c.status = :status) AND (CAST(:plan AS text) IS NULL OR c.plan = :plan)
    ORDER BY c.name, c.id LIMIT 10
"""
_OWN: Final = text(f"SELECT c.*, now() AS at FROM customers c {_WANTED}")  # noqa: S608 - constant columns
_ALL: Final = text(f"SELECT c.*, now() AS at FROM all_customers(:who) c {_WANTED}")  # noqa: S608 - constant columns
_COUNT_ALL: Final = text("SELECT count(*) FROM all_customers(:who)")
_IS_ADMIN: Final = text("SELECT is_platform_admin(:who)")
_FIND: Final = text("SELECT c.*, now() AS at FROM customers c")
_SET: Final = text(
    "UPDATE accounts SET status = :status, version = version + 1, updated_at = now()"
    " WHERE id = app_account() AND status <> :status RETURNING id"
)


def _view(row: Row[Any]) -> CustomerView:
    values = {name: value for name, value in mapping(row).items() if name in CustomerView.model_fields}
    plan = None if row.plan is None else CustomerPlanView(plan=row.plan, status=row.subscription_status)
    return CustomerView.model_validate(
        {**values, "user": row.owner_email, "subscription": plan, "mrr": to_cents(row.mrr)}
    )


async def search(
    conn: AsyncConnection, query: str, *, status: str | None, plan: str | None, who: UUID | None = None
) -> list[CustomerView]:
    """Return up to ten by name: of the entered account, or of all when `who` is a platform administrator."""
    values = {"query": query, "status": status, "plan": plan}
    found = await conn.execute(_OWN, values) if who is None else await conn.execute(_ALL, {**values, "who": who})
    return [_view(row) for row in found]


async def find(conn: AsyncConnection) -> CustomerView | None:
    """Return the entered account as a customer; None for one that does not exist."""
    row = (await conn.execute(_FIND)).one_or_none()
    return None if row is None else _view(row)


async def count_all(conn: AsyncConnection, who: UUID) -> int:
    """Return how many customers there are; 0 for whoever is no platform administrator."""
    found: int = (await conn.execute(_COUNT_ALL, {"who": who})).scalar_one()
    return found


async def is_platform_admin(conn: AsyncConnection, who: UUID) -> bool:
    """Whether a person administers the whole installation, as it is now."""
    found: bool = (await conn.execute(_IS_ADMIN, {"who": who})).scalar_one()
    return found


async def set_status(conn: AsyncConnection, status: AccountStatus) -> tuple[CustomerView, Aggregate | None]:
    """Change the entered account's status and tell who watches it. Idempotent. Raises NotFoundError.

    People of an account that is not active do not get in any more.
    """
    changed = (await conn.execute(_SET, {"status": status.value})).one_or_none()
    row = (await conn.execute(_FIND)).one_or_none()
    if row is None:
        raise NotFoundError("No such customer")
    view = _view(row)
    if changed is None:
        return view, None
    event = CustomerUpdated(customer=view, timestamp=row.at)
    return view, await tell(conn, Aggregate(row.id, f"customer:{row.id}"), row.version, event)
