"""An inbound message gets its session, its numbers and its twin in the AI conversation, and the outbox learns of it.

Two statements: the first opens or locks the session and the conversation and takes both numbers, the second writes
the message and what must leave. Deferred messages wait here without numbers until they are released.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.channels import ChannelRow
from db.outbox import Aggregate
from db.rows import SESSION_COLUMNS, mapping, session_view
from domain.events import ChatMessageCreated, MessageCreated, SessionUpdated
from domain.message import InboundEvent
from domain.sanitize import sanitize, storable
from domain.views import ConversationMessageView, MessageMetadataView, MessageView, SenderInfoView

_OPEN_SESSION: Final = text(
    f"""
    WITH s AS (
        INSERT INTO chat_sessions AS s (id, account_id, channel_id, session_key, platform_user_id, platform_username,
            ai_conversation_id, assigned_agent_id, last_arrival_no, message_count, version, user_metadata)
        VALUES (:session_id, app_account(), :channel_id, :session_key, :sender_id, :sender_name, :conversation_id,
            :agent_id, :step, 1, 1, CAST(:user_metadata AS jsonb))
        ON CONFLICT (channel_id, session_key) DO UPDATE SET
            platform_username = COALESCE(excluded.platform_username, s.platform_username),
            status = CASE WHEN s.status = 'blocked' OR :step = 0 THEN s.status ELSE 'active' END,
            epoch = s.epoch + CASE WHEN s.status = 'closed' AND :step = 1 THEN 1 ELSE 0 END,
            closed_at = CASE WHEN s.status = 'closed' AND :step = 0 THEN s.closed_at END,
            last_arrival_no = s.last_arrival_no + CASE WHEN s.status = 'blocked' THEN 0 ELSE :step END,
            message_count = s.message_count + 1,
            last_activity_at = now(),
            version = s.version + 1
        RETURNING {SESSION_COLUMNS}, s.last_arrival_no, s.status = 'blocked' AS is_blocked
    ), c AS (
        INSERT INTO ai_conversations AS c (id, account_id, conversation_id, title, ai_agent_id, last_sequence,
            message_count, metadata)
        SELECT s.ai_conversation_id, app_account(), :public_id, :title, :agent_id, n.step, n.step,
            jsonb_build_object('chat_session_id', s.id, 'platform', s.platform)
        FROM s, LATERAL (SELECT CASE WHEN s.is_blocked THEN 0 ELSE CAST(:step AS int) END AS step) n
        ON CONFLICT (id) DO UPDATE SET
            last_sequence = c.last_sequence + excluded.last_sequence,
            message_count = c.message_count + excluded.message_count,
            last_activity_at = now()
        RETURNING c.last_sequence, c.conversation_id
    )
    SELECT s.*, c.last_sequence, c.conversation_id, now() AS at FROM s, c
    """  # noqa: S608 - constant columns
)
_INSERT_MESSAGE: Final = text(
    """
    WITH a AS (
        INSERT INTO ai_messages (id, account_id, conversation_id, message_id, role, content, sequence_number,
            content_metadata)
        SELECT :ai_message_id, app_account(), :conversation_id, :public_id, 'user', :content, :sequence_number,
            jsonb_build_object('sender_name', CAST(:sender_name AS text))
        WHERE :mirrored
    ), o AS (
        INSERT INTO outbox (account_id, aggregate, aggregate_version, kind, name, streams, data, trace_id)
        SELECT app_account(), :aggregate, :version, r.kind, r.name, r.streams, r.data, :trace_id
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(kind text, name text, streams text[], data jsonb)
    )
    INSERT INTO chat_messages (id, account_id, channel_id, session_id, direction, message_type, content,
        sanitized_content, delivery_status, arrival_no, order_key, handled_at, deferred_until, platform_message_id,
        reply_to, platform_metadata, attachments, ai_message_id, inbound_event_id, trace_id, delivered_at)
    VALUES (:message_id, app_account(), :channel_id, :session_id, 'inbound', :message_type, :content, :sanitized,
        'delivered', :arrival_no, :order_key, CASE WHEN :is_blocked THEN now() END, :deferred_until,
        :platform_message_id, CAST(:reply_to AS jsonb), CAST(:metadata AS jsonb), CAST(:attachments AS jsonb),
        CASE WHEN :mirrored THEN CAST(:ai_message_id AS uuid) END, :inbound_event_id, :trace_id, now())
    """
)
_MARK: Final = text("UPDATE inbound_events SET state = :state, reason = :reason WHERE id = :id")
_BLOCKED: Final = {"state": "blocked", "reason": "the sender is blocked"}
_DEFERRED: Final = {"state": "deferred", "reason": "over the rate limit"}
MESSAGE_RECEIVED: Final = "message_received"


@dataclass(frozen=True, slots=True)
class ArrivingItem:
    """An inbound message with its row in `inbound_events`, and whether its sender is blocked."""

    row_id: UUID
    event: InboundEvent
    trace_id: str
    blocked: bool


def arrival_signal(
    channel_id: UUID, platform: str, view: MessageView, arrival_no: int, order_key: str
) -> dict[str, object]:
    """Shape the outbox row that tells the session's workflow of an arrival."""
    return outbox.signal_row(
        MESSAGE_RECEIVED,
        {
            "session_id": str(view.session_id),
            "channel_id": str(channel_id),
            "platform": platform,
            "arrival_no": arrival_no,
            "order_key": order_key,
            "message_id": str(view.id),
        },
    )


def _message_view(message_id: UUID, event: InboundEvent, session: Row[Any], trace_id: str) -> MessageView:
    return MessageView(
        id=message_id,
        session_id=session.id,
        direction="inbound",
        message_type=event.message_type.value,
        content=storable(event.text),
        delivery_status="delivered",
        delivery_detail=[],
        generation=1,
        arrival_no=None,
        platform_message_id=storable(event.message_id),
        ai_message_id=None,
        trace_id=trace_id,
        sent_at=None,
        delivered_at=session.at,
        read_at=None,
        created_at=session.at,
        version=1,
    )


def conversation_event(session: Row[Any], public_id: str, content: str, sender: SenderInfoView) -> MessageCreated:
    """Shape the event by which readers of the conversation learn of an inbound message."""
    return MessageCreated(
        timestamp=session.at,
        conversation_id=session.conversation_id,
        message=ConversationMessageView(
            id=public_id,
            content=content,
            sender_type="user",
            sender_info=sender,
            sequence_number=session.last_sequence,
            created_at=session.at,
            metadata=MessageMetadataView(),
        ),
    )


async def _open_session(
    conn: AsyncConnection, channel: ChannelRow, event: InboundEvent, sender_name: str | None, *, numbered: bool
) -> Row[Any]:
    opened = await conn.execute(
        _OPEN_SESSION,
        {
            "session_id": uuid4(),
            "channel_id": channel.id,
            "session_key": storable(event.session_key),
            "sender_id": storable(event.sender.id),
            "sender_name": sender_name,
            "conversation_id": uuid4(),
            "public_id": str(uuid4()),
            "agent_id": channel.default_agent_id,
            "title": storable(f"Chat: {channel.platform} - {sender_name or event.sender.id}")[:255],
            "step": int(numbered),
            "user_metadata": as_json({"username": event.sender.username}),
        },
    )
    return opened.one()


def as_json(value: object) -> str:
    """Return JSON text that Postgres accepts: no NUL, no lone surrogate."""
    return orjson.dumps(_clean(value)).decode()


def _clean(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {str(_clean(key)): _clean(item) for key, item in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in cast("list[object]", value)]
    return value


def _event_columns(event: InboundEvent) -> dict[str, object]:
    """Return what of an inbound event goes into its message row as it is."""
    attachments = [
        {"kind": a.kind.value, "remote_ref": a.remote_ref, "mime_type": a.mime_type, "filename": a.filename}
        for a in event.attachments
    ]
    return {
        "sanitized": sanitize(event.text),
        "message_type": event.message_type.value,
        "content": storable(event.text),
        "order_key": storable(event.order_key),
        "platform_message_id": storable(event.message_id),
        "reply_to": as_json(
            {"chat": event.reply_to.chat, "thread": event.reply_to.thread, "message": event.reply_to.message}
        ),
        "metadata": as_json(event.metadata),
        "attachments": as_json(attachments),
    }


def _leaving(
    channel: ChannelRow, event: InboundEvent, session: Row[Any], view: MessageView, public_id: str | None
) -> list[dict[str, object]]:
    """Shape what must leave for an inbound message; without `public_id` nobody is asked to answer it."""
    rows: list[dict[str, object]] = []
    if public_id is not None:
        sender = SenderInfoView(name=storable(event.sender.name or event.sender.username or "") or None)
        rows.append(arrival_signal(channel.id, channel.platform, view, session.last_arrival_no, event.order_key))
        rows.append(outbox.event_row(conversation_event(session, public_id, view.content, sender)))
    rows.append(outbox.event_row(ChatMessageCreated(timestamp=session.at, session_id=session.id, message=view)))
    rows.append(outbox.event_row(SessionUpdated(timestamp=session.at, session=session_view(mapping(session)))))
    return rows


async def record_message(
    conn: AsyncConnection, channel: ChannelRow, item: ArrivingItem, *, deferred_until: datetime | None
) -> Aggregate:
    """Store one inbound message and what must leave for it. Returns the session's aggregate."""
    event = item.event
    sender_name = storable(event.sender.name or event.sender.username or "") or None
    numbered = not item.blocked and deferred_until is None
    session = await _open_session(conn, channel, event, sender_name, numbered=numbered)
    is_blocked = item.blocked or bool(session.is_blocked)
    mirrored = numbered and not is_blocked
    public_id, ai_message_id = str(uuid4()), uuid4()
    view = _message_view(uuid4(), event, session, item.trace_id)
    if mirrored:
        view = view.model_copy(update={"arrival_no": session.last_arrival_no, "ai_message_id": ai_message_id})
    aggregate = outbox.session_aggregate(channel.account_id, session.id)
    await conn.execute(
        _INSERT_MESSAGE,
        _event_columns(event)
        | {
            "ai_message_id": ai_message_id,
            "conversation_id": session.ai_conversation_id,
            "public_id": public_id,
            "sequence_number": session.last_sequence,
            "sender_name": sender_name,
            "mirrored": mirrored,
            "aggregate": aggregate.name,
            "version": session.version,
            "rows": orjson.dumps(_leaving(channel, event, session, view, public_id if mirrored else None)).decode(),
            "trace_id": item.trace_id,
            "message_id": view.id,
            "channel_id": channel.id,
            "session_id": session.id,
            "arrival_no": view.arrival_no,
            "is_blocked": is_blocked,
            "deferred_until": None if is_blocked else deferred_until,
            "inbound_event_id": item.row_id,
        },
    )
    if not mirrored:
        await conn.execute(_MARK, {"id": item.row_id} | (_BLOCKED if is_blocked else _DEFERRED))
    return aggregate
