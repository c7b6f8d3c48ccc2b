"""Messages over a channel's rate limit: stored without numbers, released in order when their wait is over.

Called by the worker's sweeper. A release is the second half of db/arrivals.record_message.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import attachments, outbox
from db.arrivals import arrival_signal, conversation_event
from db.outbox import Aggregate
from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, SESSION_COLUMNS, mapping, message_view, session_view
from domain.events.chat import ChatMessageStatus, SessionUpdated
from domain.views import SenderInfoView

_LOAD_DEFERRED: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS}, m.channel_id, m.order_key, m.sanitized_content, m.inbound_event_id, s.platform_username
    FROM chat_messages m JOIN chat_sessions s ON s.id = m.session_id
    WHERE m.id = :message_id AND m.deferred_until IS NOT NULL FOR UPDATE OF m, s
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES)
_NUMBER_DEFERRED: Final = text(
    f"""
    WITH s AS (
        UPDATE chat_sessions s SET last_arrival_no = s.last_arrival_no + 1, version = s.version + 1,
            epoch = s.epoch + CASE WHEN s.status = 'closed' THEN 1 ELSE 0 END, closed_at = NULL,
            status = 'active', last_activity_at = now()
        WHERE s.id = :session_id AND s.status <> 'blocked'
        RETURNING {SESSION_COLUMNS}, s.last_arrival_no
    ), c AS (
        UPDATE ai_conversations c SET last_sequence = c.last_sequence + 1, message_count = c.message_count + 1,
            last_activity_at = now()
        FROM s WHERE c.id = s.ai_conversation_id RETURNING c.last_sequence, c.conversation_id
    )
    SELECT s.*, c.last_sequence, c.conversation_id, now() AS at FROM s, c
    """  # noqa: S608 - constant columns
)
_RELEASE: Final = text(
    """
    WITH a AS (
        INSERT INTO ai_messages (id, account_id, conversation_id, message_id, role, content, sequence_number,
            content_metadata)
        VALUES (:ai_message_id, app_account(), :conversation_id, :public_id, 'user', :content, :sequence_number,
            jsonb_build_object('sender_name', CAST(:sender_name AS text), 'files', CAST(:files AS text)))
    )
    UPDATE chat_messages SET arrival_no = :arrival_no, ai_message_id = :ai_message_id, deferred_until = NULL,
        version = version + 1 WHERE id = :message_id
    """
)
_DROP_DEFERRED: Final = text(
    "UPDATE chat_messages SET deferred_until = NULL, handled_at = now(), version = version + 1 WHERE id = :message_id"
)
_DUE: Final = text("SELECT account_id, message_id FROM due_deferred(:at_most)")


async def due(conn: AsyncConnection, at_most: int = 100) -> list[tuple[UUID, UUID]]:
    """Return (account, message) of deferred messages whose wait is over, in the order they came."""
    return [(row.account_id, row.message_id) for row in await conn.execute(_DUE, {"at_most": at_most})]


async def release(conn: AsyncConnection, account_id: UUID, message_id: UUID) -> Aggregate | None:
    """Give a deferred message its numbers and let it take its turn; None when another released it first."""
    waiting = (await conn.execute(_LOAD_DEFERRED, {"message_id": message_id})).one_or_none()
    if waiting is None:
        return None
    session = (await conn.execute(_NUMBER_DEFERRED, {"session_id": waiting.session_id})).one_or_none()
    if session is None:
        # Blocked meanwhile: it stays in the history and opens no turn.
        await conn.execute(_DROP_DEFERRED, {"message_id": message_id})
        return None
    public_id, ai_message_id = str(uuid4()), uuid4()
    await conn.execute(
        _RELEASE,
        {
            "ai_message_id": ai_message_id,
            "conversation_id": session.ai_conversation_id,
            "public_id": public_id,
            "content": waiting.content,
            "sequence_number": session.last_sequence,
            "sender_name": waiting.platform_username,
            "files": await attachments.notes(conn, message_id) if waiting.attachments else None,
            "arrival_no": session.last_arrival_no,
            "message_id": message_id,
        },
    )
    aggregate = outbox.session_aggregate(account_id, session.id)
    rows = _rows(waiting, session, public_id, ai_message_id)
    await outbox.write(conn, aggregate, session.version, rows, waiting.trace_id)
    return aggregate


def _rows(waiting: Row[Any], session: Row[Any], public_id: str, ai_message_id: UUID) -> list[dict[str, object]]:
    number = session.last_arrival_no
    view = message_view(mapping(waiting)).model_copy(
        update={"arrival_no": number, "ai_message_id": ai_message_id, "version": waiting.version + 1}
    )
    sender = SenderInfoView(name=waiting.platform_username)
    status = ChatMessageStatus(
        timestamp=session.at,
        session_id=view.session_id,
        message_id=view.id,
        delivery_status=view.delivery_status,
        message=view,
    )
    return [
        arrival_signal(waiting.channel_id, session.platform, view, number, waiting.order_key),
        outbox.event_row(conversation_event(session, public_id, view.content, sender)),
        outbox.event_row(status),
        outbox.event_row(SessionUpdated(timestamp=session.at, session=session_view(mapping(session)))),
    ]
