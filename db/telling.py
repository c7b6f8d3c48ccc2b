"""How a change is told: events written to the outbox under the version of the row that changed."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.outbox import Aggregate
from domain.events.base import Event


async def acting_account(conn: AsyncConnection) -> UUID:
    """Return the account that the transaction has entered."""
    found: UUID = (await conn.execute(text("SELECT app_account()"))).scalar_one()
    return found


async def tell(conn: AsyncConnection, aggregate: Aggregate, version: int, *events: Event) -> Aggregate:
    """Write events in the caller's transaction, which holds the row's lock at `version`."""
    await outbox.write(conn, aggregate, version, [outbox.event_row(event) for event in events], "")
    return aggregate
