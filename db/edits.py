"""A person changed what they wrote: the stored message and its twin in the conversation follow, and keep the old text."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox, parts
from db.channels import ChannelRow
from db.outbox import Aggregate
from db.rows import CONVERSATION_MESSAGE_COLUMNS, conversation_message_view, mapping
from domain.events.chat import MessageUpdated
from domain.message import InboundEvent
from domain.sanitize import sanitize, storable

_MARK: Final = text("UPDATE inbound_events SET state = 'ignored', reason = :reason WHERE id = :id")
# Its author may be known by another name by now; a chat of many people has none.
_FIND: Final = text(
    """
    SELECT m.id, m.session_id, m.ai_message_id, m.content FROM chat_messages m
    JOIN chat_sessions s ON s.id = m.session_id
    WHERE m.channel_id = :channel_id AND m.platform_message_id = :target AND m.direction = 'inbound'
      AND (m.reply_to ->> 'chat' = :chat OR EXISTS (
        SELECT 1 FROM session_aliases a
        WHERE a.channel_id = s.channel_id AND a.session_key = s.session_key AND a.alias = ANY(:names)))
    ORDER BY m.created_at DESC LIMIT 1
    """
)
_EDIT_CHAT: Final = text(
    """
    UPDATE chat_messages SET content = :content, sanitized_content = :sanitized, version = version + 1,
        platform_metadata = platform_metadata || jsonb_build_object('edited_at', now()) WHERE id = :id
    """
)
_EDIT_AI: Final = text(
    f"""
    WITH edited AS (
        UPDATE ai_messages SET content = :content, is_edited = true, edited_at = now(),
            edit_history = edit_history || jsonb_build_object('content', content, 'edited_at', now())
        WHERE id = :id RETURNING *
    )
    SELECT {CONVERSATION_MESSAGE_COLUMNS}, c.conversation_id AS public_conversation_id
    FROM edited a JOIN ai_conversations c ON c.id = a.conversation_id
    """  # noqa: S608 - constant columns
)


async def apply_edit(
    conn: AsyncConnection, channel: ChannelRow, event_row_id: UUID, event: InboundEvent, trace_id: str
) -> Aggregate | None:
    """Apply an edit of an inbound message; one of a message that we never got is kept as ignored."""
    found = (
        await conn.execute(
            _FIND,
            {
                "channel_id": channel.id,
                "target": event.target_message_id,
                "chat": storable(event.reply_to.chat),
                "names": [storable(name) for name in event.known_as],
            },
        )
    ).one_or_none()
    content = storable(event.text)
    if found is None or found.content == content:
        reason = "the original is not known" if found is None else "the text did not change"
        await conn.execute(_MARK, {"id": event_row_id, "reason": reason})
        return None
    version, at = await parts.lock_session(conn, found.session_id)
    await conn.execute(_EDIT_CHAT, {"id": found.id, "content": content, "sanitized": sanitize(event.text)})
    rows = [parts.status_event(await parts.message_with_parts(conn, found.id), at)]
    if found.ai_message_id is not None:
        edited = (await conn.execute(_EDIT_AI, {"id": found.ai_message_id, "content": content})).one()
        message = conversation_message_view(mapping(edited))
        rows.append(
            outbox.event_row(
                MessageUpdated(timestamp=at, conversation_id=edited.public_conversation_id, message=message)
            )
        )
    aggregate = outbox.session_aggregate(channel.account_id, found.session_id)
    await outbox.write(conn, aggregate, version, rows, trace_id)
    return aggregate
