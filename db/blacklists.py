"""Who may not write to us: one person on one channel, or in the whole account; for a while or for good.

A block for a while works by its row alone and ends by itself. A block for good also ends the person's open sessions,
which come back when it is lifted. Incoming messages of the blocked are kept and answered by nobody (db/ingest.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import session_commands
from db.channels import channel_exists
from db.outbox import Aggregate
from db.rows import mapping
from db.session_commands import Command
from domain.errors import ConflictError, NotFoundError
from domain.session import SessionStatus
from domain.views import BlacklistView

_COLUMNS: Final = """
    b.id, b.platform_user_id, b.block_type, b.reason, b.channel_id,
    (SELECT name FROM chat_channels c WHERE c.id = b.channel_id) AS channel_name,
    b.channel_id IS NULL AS account_wide, b.expires_at, (b.expires_at IS NULL OR b.expires_at > now()) AS active,
    (SELECT name FROM users u WHERE u.id = b.blocked_by_id) AS blocked_by, b.created_at
"""
_ONE: Final = text(f"SELECT {_COLUMNS} FROM chat_blacklists b WHERE b.id = :id")  # noqa: S608 - constant columns
_LIST: Final = text(
    f"""
    SELECT {_COLUMNS}, count(*) OVER () AS total FROM chat_blacklists b
    WHERE (CAST(:channel_id AS uuid) IS NULL OR b.channel_id = :channel_id)
      AND (CAST(:user AS text) IS NULL OR b.platform_user_id = :user)
      AND (NOT :active OR b.expires_at IS NULL OR b.expires_at > now())
    ORDER BY b.created_at DESC, b.id LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
)
# A block for good is not shortened by naming a time: it is lifted first, so that its sessions come back.
_UPSERT: Final = text(
    """
    INSERT INTO chat_blacklists AS b (id, account_id, channel_id, platform_user_id, block_type, expires_at, reason,
        blocked_by_id)
    VALUES (:id, app_account(), :channel_id, :user,
        CASE WHEN CAST(:expires_at AS timestamptz) IS NULL THEN 'permanent' ELSE 'temporary' END,
        CAST(:expires_at AS timestamptz), :reason, :user_id)
    ON CONFLICT (account_id, platform_user_id, channel_id) DO UPDATE SET block_type = excluded.block_type,
        expires_at = excluded.expires_at, reason = excluded.reason, blocked_by_id = excluded.blocked_by_id
    WHERE b.block_type = 'temporary' OR excluded.block_type = 'permanent'
    RETURNING b.id
    """
)
_DELETE: Final = text("DELETE FROM chat_blacklists WHERE id = :id RETURNING platform_user_id, channel_id")
_DELETE_OF_CHANNEL: Final = text("DELETE FROM chat_blacklists WHERE channel_id = :channel_id")
# In the order in which ingest locks the sessions of one webhook: no deadlock between the two.
_OPEN_SESSIONS: Final = text(
    """
    SELECT s.id FROM chat_sessions s
    WHERE s.platform_user_id = :user AND (CAST(:channel_id AS uuid) IS NULL OR s.channel_id = :channel_id)
      AND s.status IN ('active', 'idle') ORDER BY s.channel_id, s.session_key
    """
)
_FREED_SESSIONS: Final = text(
    """
    SELECT s.id FROM chat_sessions s
    WHERE s.platform_user_id = :user AND (CAST(:channel_id AS uuid) IS NULL OR s.channel_id = :channel_id)
      AND s.status = 'blocked' AND NOT EXISTS (
          SELECT 1 FROM chat_blacklists b WHERE b.platform_user_id = s.platform_user_id
            AND b.block_type = 'permanent' AND (b.channel_id IS NULL OR b.channel_id = s.channel_id))
    ORDER BY s.channel_id, s.session_key
    """
)
_PERSON: Final = text("SELECT platform_user_id, channel_id FROM chat_sessions WHERE id = :id")


@dataclass(frozen=True, slots=True)
class Block:
    """Whom to block. No channel: in the whole account; no `expires_at`: for good."""

    platform_user_id: str
    channel_id: UUID | None
    user_id: UUID
    expires_at: datetime | None = None
    reason: str | None = None


async def listing(
    conn: AsyncConnection, *, channel_id: UUID | None, user: str | None, active: bool, limit: int, offset: int
) -> tuple[list[BlacklistView], int]:
    """Return a page of blocks, newest first, and how many there are."""
    values = {"channel_id": channel_id, "user": user, "active": active, "limit": limit, "offset": offset}
    rows = (await conn.execute(_LIST, values)).all()
    views = [
        BlacklistView.model_validate({name: mapping(row)[name] for name in BlacklistView.model_fields}) for row in rows
    ]
    return views, rows[0].total if rows else 0


async def _upsert(conn: AsyncConnection, block: Block) -> UUID:
    stored = await conn.execute(
        _UPSERT,
        {
            "id": uuid4(),
            "channel_id": block.channel_id,
            "user": block.platform_user_id,
            "expires_at": block.expires_at,
            "reason": block.reason,
            "user_id": block.user_id,
        },
    )
    block_id: UUID | None = stored.scalar_one_or_none()
    if block_id is None:
        raise ConflictError("This person is blocked for good; lift that first")
    return block_id


async def add(conn: AsyncConnection, block: Block) -> tuple[BlacklistView, Sequence[Aggregate]]:
    """Block a person. Raises NotFoundError for a foreign channel, ConflictError when they are blocked for longer.

    Idempotent by person and channel: a repeat renews reason and time.
    """
    if block.channel_id is not None and not await channel_exists(conn, block.channel_id):
        raise NotFoundError("No such channel")
    block_id = await _upsert(conn, block)
    aggregates: list[Aggregate] = []
    if block.expires_at is None:
        scope = {"user": block.platform_user_id, "channel_id": block.channel_id}
        ids: list[UUID] = list((await conn.execute(_OPEN_SESSIONS, scope)).scalars())
        aggregates = [
            await _move(conn, one, block.user_id, SessionStatus.BLOCKED, block.reason or "blocked") for one in ids
        ]
    row = mapping((await conn.execute(_ONE, {"id": block_id})).one())
    return BlacklistView.model_validate({name: row[name] for name in BlacklistView.model_fields}), aggregates


async def add_person_of(conn: AsyncConnection, session_id: UUID, user_id: UUID, reason: str) -> list[Aggregate]:
    """Block the person of a session, which is blocked already, on its channel; returns what else was blocked by it."""
    person = (await conn.execute(_PERSON, {"id": session_id})).one()
    _, aggregates = await add(conn, Block(person.platform_user_id, person.channel_id, user_id, reason=reason))
    return list(aggregates)


async def remove(conn: AsyncConnection, block_id: UUID, user_id: UUID) -> Sequence[Aggregate]:
    """Lift a block, and open the sessions that no other block holds. Raises NotFoundError."""
    row = (await conn.execute(_DELETE, {"id": block_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such block")
    scope = {"user": row.platform_user_id, "channel_id": row.channel_id}
    ids: list[UUID] = list((await conn.execute(_FREED_SESSIONS, scope)).scalars())
    return [await _move(conn, one, user_id, SessionStatus.ACTIVE, None) for one in ids]


async def remove_of_channel(conn: AsyncConnection, channel_id: UUID) -> None:
    """Drop the blocks of a channel that is being deleted."""
    await conn.execute(_DELETE_OF_CHANNEL, {"channel_id": channel_id})


async def _move(
    conn: AsyncConnection, session_id: UUID, user_id: UUID, status: SessionStatus, reason: str | None
) -> Aggregate:
    changed = await session_commands.apply(conn, Command(session_id, user_id, status=status, reason=reason))
    return changed.aggregate
