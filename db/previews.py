"""Placeholders as rows, one a turn: written before the send, so that a worker's death leaves none behind unseen.

Everything is decided under the session's lock, as claims are (deliveries.py): a placeholder is neither made nor changed once a
person has the session (OWNER), nor while an earlier reply of the session still waits (ORDER), nor once the turn has its reply.
Called by activities/previews.py and activities/placeholders.py; deliveries.load reads the row with a message's parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.preview import PreviewStatus

_LOCK: Final = text("SELECT 1 FROM chat_sessions WHERE id = :session_id FOR NO KEY UPDATE")
_MAY: Final = """
    SELECT s.id, s.channel_id, m.reply_to, p.status, p.platform_message_id
    FROM turns t JOIN chat_sessions s ON s.id = :session_id JOIN chat_messages m ON m.id = :answers
    JOIN chat_channels c ON c.id = s.channel_id LEFT JOIN reply_previews p ON p.turn_id = t.id
    WHERE t.id = :turn_id AND t.status = 'running' AND s.owner = 'ai' AND s.status <> 'blocked'
      AND (c.send_paused_until IS NULL OR c.send_paused_until < now())
      AND NOT EXISTS (SELECT 1 FROM chat_messages x
        JOIN message_deliveries d ON d.message_id = x.id AND d.generation = x.generation
        WHERE x.session_id = s.id AND x.direction = 'outbound' AND x.delivery_status = 'pending'
          AND x.created_at > now() - interval '28 hours' AND d.status IN ('queued', 'attempting'))
"""
_LOOK: Final = text(_MAY).columns(reply_to=JSONB)
_BEGIN: Final = text(
    """
    INSERT INTO reply_previews (turn_id, account_id, session_id, channel_id, fence, reply_to, nonce, body, due_at)
    SELECT t.id, app_account(), s.id, s.channel_id, :fence, m.reply_to, :nonce, :body,
        now() + make_interval(secs => :hold_s)
    FROM turns t, chat_sessions s, chat_messages m
    WHERE t.id = :turn_id AND s.id = :session_id AND m.id = :answers
    ON CONFLICT (turn_id) DO NOTHING RETURNING 1
    """
)
_HOLD: Final = text(
    "UPDATE reply_previews SET fence = :fence WHERE turn_id = :turn_id AND status = 'shown' AND fence <= :fence RETURNING 1"
)
_SHOWN: Final = text(
    "UPDATE reply_previews SET status = 'shown', platform_message_id = :platform_id"
    " WHERE turn_id = :turn_id AND status = 'sending'"
)
_MARK: Final = text("UPDATE reply_previews SET status = :status WHERE turn_id = :turn_id")
_FORGET: Final = text("DELETE FROM reply_previews WHERE turn_id = :turn_id")
_SETTLED: Final = text("SELECT account_id, turn_id FROM settled_previews(:at_most)")
_STRAY: Final = text("SELECT account_id, turn_id FROM stray_previews(:at_most)")
_FIND: Final = text(
    "SELECT turn_id, channel_id, status, reply_to, nonce, body, platform_message_id, created_at, due_at, now() AS at"
    " FROM reply_previews WHERE turn_id = :turn_id"
).columns(reply_to=JSONB)
_SESSION: Final = text("SELECT session_id FROM reply_previews WHERE turn_id = :turn_id")
_LEAVE: Final = text(
    """
    UPDATE reply_previews p SET status = CASE WHEN p.status = 'shown' THEN 'leaving' ELSE p.status END,
        due_at = now() + make_interval(secs => :hold_s)
    WHERE p.turn_id = :turn_id AND (p.status = 'shown' OR (p.status IN ('sending', 'leaving') AND p.due_at < now())) AND (
        p.status = 'leaving'
        OR EXISTS (SELECT 1 FROM chat_messages m JOIN message_deliveries d ON d.message_id = m.id
            AND d.generation = m.generation AND d.part_no = 1
            WHERE m.turn_id = p.turn_id AND m.direction = 'outbound' AND d.status = 'dead')
        OR (NOT EXISTS (SELECT 1 FROM chat_messages m WHERE m.turn_id = p.turn_id AND m.direction = 'outbound')
            AND EXISTS (SELECT 1 FROM turns t JOIN chat_sessions s ON s.id = p.session_id WHERE t.id = p.turn_id
                AND (t.status <> 'running' OR s.owner <> 'ai' OR s.status = 'blocked'))))
    RETURNING 1
    """
)


@dataclass(frozen=True, slots=True)
class PreviewOf:
    """Whose reply is shown: the turn's, in its session, as an answer to this message."""

    turn_id: UUID
    session_id: UUID
    answers: UUID

    @property
    def nonce(self) -> str:
        """Return the placeholder's nonce, always the same for the same turn."""
        return f"{self.turn_id.hex[:20]}-0"

    def arguments(self) -> dict[str, object]:
        """Return what the statements take."""
        return {"turn_id": self.turn_id, "session_id": self.session_id, "answers": self.answers}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a reply may be shown. `status`: of the placeholder that is there, None where there is none yet."""

    channel_id: UUID
    reply_to: dict[str, str | None]
    status: PreviewStatus | None
    platform_message_id: str | None


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A placeholder. `due_at`: from then on whoever sends or deletes it does so no more; `at`: when this was read."""

    turn_id: UUID
    channel_id: UUID
    status: PreviewStatus
    reply_to: dict[str, str | None]
    nonce: str
    body: str
    platform_message_id: str | None
    created_at: datetime
    due_at: datetime
    at: datetime


async def look(conn: AsyncConnection, of: PreviewOf) -> Stage | None:
    """Return where a turn's reply may be shown at this moment; None when it may not."""
    row = (await conn.execute(_LOOK, of.arguments())).one_or_none()
    if row is None:
        return None
    status = PreviewStatus(row.status) if row.status else None
    return Stage(row.channel_id, row.reply_to, status, row.platform_message_id)


async def begin(conn: AsyncConnection, of: PreviewOf, fence: int, body: str, hold_s: float) -> bool:
    """Write that a placeholder is about to be sent; False when it may not be, or there is one already."""
    await conn.execute(_LOCK, {"session_id": of.session_id})
    if await look(conn, of) is None:
        return False
    arguments = {"fence": fence, "nonce": of.nonce, "body": body, "hold_s": hold_s}
    return (await conn.execute(_BEGIN, of.arguments() | arguments)).one_or_none() is not None


async def hold(conn: AsyncConnection, of: PreviewOf, fence: int) -> Stage | None:
    """Take the right to change the placeholder once; None when it may not be changed, or another attempt has it by now.

    `fence` grows with every attempt of the turn: an attempt that stood still does not get it back from a later one.
    """
    await conn.execute(_LOCK, {"session_id": of.session_id})
    stage = await look(conn, of)
    if stage is None:
        return None
    held = await conn.execute(_HOLD, {"turn_id": of.turn_id, "fence": fence})
    return stage if held.one_or_none() is not None else None


async def shown(conn: AsyncConnection, turn_id: UUID, platform_id: str) -> None:
    """Keep the placeholder's own id, by which it becomes the reply."""
    await conn.execute(_SHOWN, {"turn_id": turn_id, "platform_id": platform_id})


async def mark(conn: AsyncConnection, turn_id: UUID, status: PreviewStatus) -> None:
    """Write how the placeholder ended, where something is left of it."""
    await conn.execute(_MARK, {"turn_id": turn_id, "status": status.value})


async def forget(conn: AsyncConnection, turn_id: UUID) -> None:
    """Take the row away: the placeholder became the reply, or is certainly not there."""
    await conn.execute(_FORGET, {"turn_id": turn_id})


async def stray(conn: AsyncConnection, at_most: int = 50) -> list[tuple[UUID, UUID]]:
    """Return placeholders of all accounts of which nothing will become. Shape: (account, turn)."""
    return [(row.account_id, row.turn_id) for row in await conn.execute(_STRAY, {"at_most": at_most})]


async def settled(conn: AsyncConnection, at_most: int = 50) -> list[tuple[UUID, UUID]]:
    """Return placeholders of all accounts that became their replies, and were not forgotten. Shape: (account, turn)."""
    return [(row.account_id, row.turn_id) for row in await conn.execute(_SETTLED, {"at_most": at_most})]


async def leave(conn: AsyncConnection, turn_id: UUID, hold_s: float) -> PreviewRow | None:
    """Take a stray placeholder, to delete it within `hold_s`; None when it is none, or somebody else has it."""
    session_id = (await conn.execute(_SESSION, {"turn_id": turn_id})).scalar_one_or_none()
    if session_id is None:
        return None
    await conn.execute(_LOCK, {"session_id": session_id})
    if (await conn.execute(_LEAVE, {"turn_id": turn_id, "hold_s": hold_s})).one_or_none() is None:
        return None
    return await find(conn, turn_id)


async def find(conn: AsyncConnection, turn_id: UUID) -> PreviewRow | None:
    """Return a turn's placeholder; None when there is none."""
    found = (await conn.execute(_FIND, {"turn_id": turn_id})).one_or_none()
    return None if found is None else _row(found)


def _row(found: Row[Any]) -> PreviewRow:
    return PreviewRow(
        found.turn_id,
        found.channel_id,
        PreviewStatus(found.status),
        found.reply_to,
        found.nonce,
        found.body,
        found.platform_message_id,
        found.created_at,
        found.due_at,
        found.at,
    )
