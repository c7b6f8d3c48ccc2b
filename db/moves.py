"""A conversation that got another name at its platform keeps its session. Called by db/ingest.py, in its transaction."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.channels import ChannelRow
from domain.sanitize import storable

# Who writes under the new name before the platform has told us of it has begun a session there: both stay as they are.
_MOVE: Final = text(
    """
    UPDATE chat_sessions s SET session_key = :moved_to
    WHERE s.channel_id = :channel_id AND s.session_key = :moved_from AND NOT EXISTS (
        SELECT 1 FROM chat_sessions x WHERE x.channel_id = :channel_id AND x.session_key = :moved_to)
    RETURNING s.id
    """
)
# Messages have other ids in the new place, so an answer that waits is no reply to one any more.
_ADDRESS: Final = text(
    """
    UPDATE chat_messages SET reply_to = jsonb_build_object('chat', CAST(:moved_to AS text), 'thread', NULL, 'message', NULL)
    WHERE session_id = :session_id AND reply_to ->> 'chat' = :moved_from
    """
)


async def move_session(conn: AsyncConnection, channel: ChannelRow, moved_from: str, moved_to: str) -> None:
    """Give a session its new key and its messages their new address. Idempotent: a second telling finds nothing."""
    names = {"moved_from": storable(moved_from), "moved_to": storable(moved_to)}
    found = await conn.execute(_MOVE, {"channel_id": channel.id} | names)
    session_id = found.scalar_one_or_none()
    if session_id is not None:
        await conn.execute(_ADDRESS, {"session_id": session_id} | names)
