"""Bots that answer each other stop: a cap on the turns that bots open one after another in a conversation.

Counted in Postgres in the transaction that stores the message, one at a time in each conversation. A person's word begins
the count anew, and so does an hour in which no bot was heard: what speaks less often is no loop. Called by ingest.py.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.channels import ChannelRow
from domain.message import InboundEvent
from domain.sanitize import storable

DEFAULT_CAP: Final = 3
FROM_BOT: Final = "from_bot"
"""The name in a message's `platform_metadata` by which a bot's words are known."""

# The conversation's row may not exist yet, so what is locked is its name.
_LOCK: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(CAST(CAST(:channel_id AS uuid) AS text) || :session_key, 0))"
)
_RUN: Final = text(
    """
    SELECT count(*) FILTER (WHERE x.bot) FROM (
        SELECT m.platform_metadata ? 'from_bot' AS bot
        FROM chat_messages m JOIN chat_sessions s ON s.id = m.session_id
        WHERE s.channel_id = :channel_id AND s.session_key = :session_key AND m.direction = 'inbound'
          AND m.created_at > now() - interval '1 hour'
        ORDER BY m.created_at DESC LIMIT :cap
    ) x
    """
)


async def stopped_by_cap(conn: AsyncConnection, channel: ChannelRow, event: InboundEvent) -> str | None:
    """Return why a bot's message opens no turn; None where it may. Keeps others out of the conversation until the commit."""
    wanted = channel.configuration.get("bot_turn_cap")
    cap = wanted if isinstance(wanted, int) else DEFAULT_CAP
    place = {"channel_id": channel.id, "session_key": storable(event.session_key)}
    await conn.execute(_LOCK, place)
    bots: int = (await conn.execute(_RUN, place | {"cap": cap})).scalar_one()
    return f"bots have opened {cap} turns one after another: the cap of this channel" if bots >= cap else None
