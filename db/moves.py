"""A conversation that got another name at its platform keeps its session. Called by db/ingest.py, in its transaction.

A person's new number or id is such a name too: blocks go with it, and nothing stays under the old one, which may be given
to somebody else one day.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.channels import ChannelRow
from db.outbox import Aggregate
from db.rows import SESSION_COLUMNS, mapping, session_view
from domain.events.chat import SessionUpdated
from domain.sanitize import storable

# Who writes under the new name before the platform has told us of it has begun a session there: both stay as they are.
_MOVE: Final = text(
    f"""
    UPDATE chat_sessions s SET session_key = :moved_to, version = version + 1,
        platform_user_id = CASE WHEN s.platform_user_id = :moved_from THEN :moved_to ELSE s.platform_user_id END
    WHERE s.channel_id = :channel_id AND s.session_key = :moved_from AND NOT EXISTS (
        SELECT 1 FROM chat_sessions x WHERE x.channel_id = :channel_id AND x.session_key = :moved_to)
    RETURNING {SESSION_COLUMNS}, now() AS at
    """  # noqa: S608 - constant columns
)
# Messages have other ids in the new place, so an answer that waits is no reply to one any more.
_ADDRESS: Final = text(
    """
    UPDATE chat_messages SET reply_to = jsonb_build_object('chat', CAST(:moved_to AS text), 'thread', NULL, 'message', NULL)
    WHERE session_id = :session_id AND reply_to ->> 'chat' = :moved_from
    """
)
_ALIASES: Final = text(
    "UPDATE session_aliases SET session_key = :moved_to WHERE channel_id = :channel_id AND session_key = :moved_from"
)
_RENAME: Final = text(
    """
    UPDATE session_aliases a SET alias = :moved_to WHERE a.channel_id = :channel_id AND a.alias = :moved_from
        AND NOT EXISTS (SELECT 1 FROM session_aliases x WHERE x.channel_id = :channel_id AND x.alias = :moved_to)
    """
)
_BLOCKS: Final = text(
    """
    UPDATE chat_blacklists b SET platform_user_id = :moved_to
    WHERE b.platform_user_id = :moved_from AND (b.channel_id IS NULL OR b.channel_id = :channel_id) AND NOT EXISTS (
        SELECT 1 FROM chat_blacklists x
        WHERE x.platform_user_id = :moved_to AND x.channel_id IS NOT DISTINCT FROM b.channel_id)
    """
)


async def move_session(conn: AsyncConnection, channel: ChannelRow, moved_from: str, moved_to: str) -> Aggregate | None:
    """Give a session its new key and its messages their new address; returns it where readers see the change.

    Idempotent: a second telling finds nothing.
    """
    names = {"channel_id": channel.id, "moved_from": storable(moved_from), "moved_to": storable(moved_to)}
    found = (await conn.execute(_MOVE, names)).one_or_none()
    for follow in (_ALIASES, _RENAME, _BLOCKS):
        await conn.execute(follow, names)
    if found is None:
        return None
    session_id: UUID = found.id
    await conn.execute(_ADDRESS, {"session_id": session_id} | names)
    aggregate = outbox.session_aggregate(channel.account_id, session_id)
    event = SessionUpdated(timestamp=found.at, session=session_view(mapping(found)))
    await outbox.write(conn, aggregate, found.version, [outbox.event_row(event)], "")
    return aggregate
