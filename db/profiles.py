"""Names of people whose platform tells them apart from their messages: whose are still to be asked for, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.outbox import Aggregate
from db.rows import SESSION_COLUMNS, mapping, session_view
from domain.events.chat import SessionUpdated
from domain.sanitize import storable

_DUE: Final = text("SELECT account_id, session_id FROM nameless_sessions(:platforms, :at_most)")
# Put off first: whoever dies while asking, or cannot be answered now, asks again later, for a day.
_TAKE: Final = text(
    """
    UPDATE chat_sessions
    SET profile_due_at = CASE WHEN profile_due_at < created_at + interval '1 day' THEN now() + interval '10 minutes' END
    WHERE id = :id AND platform_username IS NULL AND profile_due_at <= now()
    RETURNING channel_id, platform_user_id
    """
)
_DONE: Final = text("UPDATE chat_sessions SET profile_due_at = NULL WHERE id = :id")
_NAME: Final = text(
    f"""
    UPDATE chat_sessions s SET platform_username = :name, profile_due_at = NULL, version = s.version + 1
    WHERE s.id = :id AND s.platform_username IS NULL RETURNING {SESSION_COLUMNS}, now() AS at
    """  # noqa: S608 - constant columns
)


@dataclass(frozen=True, slots=True)
class Nameless:
    """A session whose person is to be asked for."""

    channel_id: UUID
    person: str


async def due(conn: AsyncConnection, platforms: Sequence[str], at_most: int = 10) -> list[tuple[UUID, UUID]]:
    """Return sessions without a name, of all accounts. Shape: (account, session)."""
    found = await conn.execute(_DUE, {"platforms": list(platforms), "at_most": at_most})
    return [(row.account_id, row.session_id) for row in found]


async def take(conn: AsyncConnection, session_id: UUID) -> Nameless | None:
    """Take a session, to ask for its name within ten minutes; None when somebody else has it, or it has one by now."""
    row = (await conn.execute(_TAKE, {"id": session_id})).one_or_none()
    return None if row is None else Nameless(row.channel_id, row.platform_user_id)


async def name(conn: AsyncConnection, account_id: UUID, session_id: UUID, found: str | None) -> Aggregate | None:
    """Write down a name, and have readers told; None: there is none, and nobody asks again. Idempotent."""
    row = None
    if found is not None:
        row = (await conn.execute(_NAME, {"id": session_id, "name": storable(found)[:255]})).one_or_none()
    if row is None:
        await conn.execute(_DONE, {"id": session_id})
        return None
    view = session_view(mapping(row))
    aggregate = outbox.session_aggregate(account_id, session_id)
    event = outbox.event_row(SessionUpdated(timestamp=row.at, session=view))
    await outbox.write(conn, aggregate, view.version, [event], "")
    return aggregate
