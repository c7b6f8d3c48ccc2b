"""Outbound messages become rows: the AI's reply, an operator's answer, a notice, an explicit retry.

One transaction writes the conversation's message, the chat message, its parts and the outbox. A turn has one reply at
most: the unique index on `turn_id` says so, and a second writer is given the first one's message (ONCE-IN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

import orjson
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox, parts
from db.handoff import complete_handoff
from db.outbox import Aggregate
from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, SESSION_COLUMNS, mapping, message_view, session_view
from domain.errors import ConflictError, NotFoundError
from domain.events import (
    AiResponseComplete,
    ChatMessageCreated,
    ConversationError,
    Event,
    MessageCreated,
    SessionUpdated,
)
from domain.sanitize import storable
from domain.views import ConversationMessageView, MessageMetadataView, MessageView, SenderInfoView

_OPEN: Final = text(
    f"""
    WITH s AS (
        UPDATE chat_sessions s SET version = s.version + 1, message_count = s.message_count + :count,
            processed_no = GREATEST(s.processed_no, :processed_no), last_activity_at = now()
        WHERE s.id = :session_id
        RETURNING {SESSION_COLUMNS}, s.account_id
    ), h AS (
        UPDATE chat_messages SET handled_at = COALESCE(handled_at, now()), turn_id = COALESCE(turn_id, :turn_id)
        WHERE id = ANY(:handled) AND direction = 'inbound'
    ), c AS (
        UPDATE ai_conversations c SET last_sequence = c.last_sequence + :count, message_count = c.message_count + :count,
            total_tokens = c.total_tokens + :tokens, last_activity_at = now()
        FROM s WHERE c.id = s.ai_conversation_id RETURNING c.last_sequence, c.conversation_id
    )
    SELECT s.*, c.last_sequence, c.conversation_id, now() AS at, g.id AS agent_id, g.name AS agent_name,
        COALESCE(
            (SELECT reply_to FROM chat_messages m WHERE m.id = :answers),
            (SELECT reply_to FROM chat_messages m WHERE m.session_id = s.id AND m.direction = 'inbound'
             ORDER BY m.created_at DESC LIMIT 1)
        ) AS reply_to
    FROM s CROSS JOIN c LEFT JOIN turns t ON t.id = :turn_id LEFT JOIN ai_agents g ON g.id = t.agent_id
    """  # noqa: S608 - constant columns
).columns(reply_to=JSONB)
_INSERT: Final = text(
    """
    WITH a AS (
        INSERT INTO ai_messages (id, account_id, conversation_id, message_id, role, content, sequence_number, status,
            user_id, ai_agent_id, token_count, processed_at)
        VALUES (:ai_message_id, app_account(), :conversation_id, :public_id, 'assistant', :content, :sequence_number,
            'completed', :user_id, :agent_id, :tokens, now())
    ), m AS (
        INSERT INTO chat_messages (id, account_id, channel_id, session_id, direction, content, sanitized_content,
            reply_to, ai_message_id, turn_id, author_user_id, client_id, trace_id, platform_metadata)
        VALUES (:message_id, app_account(), :channel_id, :session_id, 'outbound', :content, :content,
            CAST(:reply_to AS jsonb), :ai_message_id, :turn_id, :user_id, :client_id, :trace_id,
            CASE WHEN :closing THEN '{"closing": true}'::jsonb ELSE '{}'::jsonb END)
    ), p AS (
        INSERT INTO message_deliveries (id, account_id, message_id, session_id, channel_id, part_no, body, plain, nonce)
        SELECT r.id, app_account(), :message_id, :session_id, :channel_id, r.part_no, r.body, r.plain, r.nonce
        FROM jsonb_to_recordset(CAST(:parts AS jsonb)) AS r(id uuid, part_no int, body text, plain text, nonce text)
    ), t AS (
        UPDATE turns SET status = :turn_status, reason = :reason, finished_at = now(),
            input_tokens = :input_tokens, output_tokens = :output_tokens
        WHERE id = :turn_id
    )
    INSERT INTO outbox (account_id, aggregate, aggregate_version, kind, name, streams, data, trace_id)
    SELECT app_account(), :aggregate, :version, r.kind, r.name, r.streams, r.data, :trace_id
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(kind text, name text, streams text[], data jsonb)
    """
)
_SETTLE_ONLY: Final = text(
    """
    WITH h AS (
        UPDATE chat_messages SET handled_at = COALESCE(handled_at, now()), turn_id = COALESCE(turn_id, :turn_id)
        WHERE id = ANY(:handled) AND direction = 'inbound'
    ), t AS (
        UPDATE turns SET status = 'skipped', reason = :reason, finished_at = now()
        WHERE id = :turn_id AND status = 'running'
    )
    UPDATE chat_sessions SET processed_no = GREATEST(processed_no, :processed_no) WHERE id = :session_id
    """
)
_EXISTING: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS} FROM chat_messages m
    WHERE m.direction = 'outbound' AND m.session_id = :session_id
      AND (m.turn_id = :turn_id OR m.client_id = :client_id)
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES)
_NEXT_GENERATION: Final = text(
    """
    WITH old AS (
        SELECT d.* FROM message_deliveries d JOIN chat_messages m ON m.id = d.message_id AND m.generation = d.generation
        WHERE m.id = :message_id AND m.session_id = :session_id AND m.direction = 'outbound'
    ), m AS (
        UPDATE chat_messages SET generation = generation + 1, version = version + 1
        WHERE id = :message_id AND EXISTS (SELECT 1 FROM old WHERE status IN ('dead', 'unknown'))
        RETURNING id, generation, channel_id
    ), p AS (
        INSERT INTO message_deliveries (id, account_id, message_id, session_id, channel_id, generation, part_no, body,
            plain, as_plain, nonce, status, platform_message_id, attempts, settled_at)
        SELECT gen_random_uuid(), o.account_id, o.message_id, o.session_id, o.channel_id, m.generation, o.part_no,
            o.body, o.plain, o.as_plain, split_part(o.nonce, 'g', 1) || 'g' || m.generation,
            CASE WHEN o.status IN ('dead', 'unknown') THEN 'queued' ELSE o.status END,
            o.platform_message_id, CASE WHEN o.status IN ('dead', 'unknown') THEN 0 ELSE o.attempts END, o.settled_at
        FROM old o CROSS JOIN m
    )
    SELECT m.channel_id, c.platform FROM m JOIN chat_channels c ON c.id = m.channel_id
    """
)
_LOCK: Final = text("SELECT owner, status FROM chat_sessions WHERE id = :id FOR UPDATE")

DELIVER_RECORDED: Final = "deliver_recorded"
_REPLY_NAMESPACE: Final = UUID("6f6d2b1e-2d0f-4a62-9b39-0f3b9a4f6d11")


def reply_public_id(turn_id: UUID) -> str:
    """Return the public id that a turn's reply will have: deltas carry it before the reply is recorded."""
    return str(uuid5(_REPLY_NAMESPACE, str(turn_id)))


@dataclass(frozen=True, slots=True)
class Part:
    """One rendered piece, as it will be sent."""

    body: str
    plain: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An outbound message to be stored. Exactly one of `turn_id` (an agent's) and `user_id` (an operator's) is set,
    or neither for a notice of our own. `closing`: the last words of a hand-off, sent although a human now owns the
    session; `signal`: the session's workflow does not know of it yet.
    """

    session_id: UUID
    content: str
    parts: Sequence[Part]
    trace_id: str
    turn_id: UUID | None = None
    user_id: UUID | None = None
    user_name: str | None = None
    client_id: str | None = None
    answers: UUID | None = None
    handled: Sequence[UUID] = ()
    processed_no: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    failure: str | None = None
    closing: bool = False
    signal: bool = False


async def existing(conn: AsyncConnection, out: Outgoing) -> MessageView | None:
    """Return the message that this turn, or this client id, has stored before."""
    found = await conn.execute(
        _EXISTING, {"session_id": out.session_id, "turn_id": out.turn_id, "client_id": out.client_id}
    )
    row = found.one_or_none()
    return None if row is None else message_view(mapping(row))


async def owner_of(conn: AsyncConnection, session_id: UUID) -> tuple[str, str] | None:
    """Lock a session's row and return (owner, status); None when the account has no such session."""
    row = (await conn.execute(_LOCK, {"id": session_id})).one_or_none()
    return None if row is None else (row.owner, row.status)


async def settle_without_reply(conn: AsyncConnection, out: Outgoing, reason: str) -> None:
    """Mark messages as handled by a turn that has no reply, with the reason."""
    await conn.execute(
        _SETTLE_ONLY,
        {
            "turn_id": out.turn_id,
            "session_id": out.session_id,
            "handled": list(out.handled),
            "processed_no": out.processed_no,
            "reason": reason,
        },
    )


def _conversation_message(out: Outgoing, session: Row[Any], public_id: str) -> ConversationMessageView:
    sender = session.agent_id or out.user_id
    return ConversationMessageView(
        id=public_id,
        content=out.content,
        sender_type="ai",
        sender_info=SenderInfoView(id=str(sender) if sender else None, name=session.agent_name or out.user_name),
        sequence_number=session.last_sequence,
        created_at=session.at,
        metadata=MessageMetadataView(tokens_used=out.input_tokens + out.output_tokens),
    )


def _view(out: Outgoing, session: Row[Any], message_id: UUID, ai_message_id: UUID, nonces: list[str]) -> MessageView:
    detail = [
        {
            "part": number,
            "status": "queued",
            "attempts": 0,
            "platform_message_id": None,
            "error_code": None,
            "error": None,
        }
        for number in range(1, len(nonces) + 1)
    ]
    return MessageView.model_validate(
        {
            "id": message_id,
            "session_id": out.session_id,
            "direction": "outbound",
            "message_type": "text",
            "content": out.content,
            "delivery_status": "pending",
            "delivery_detail": detail,
            "generation": 1,
            "arrival_no": None,
            "platform_message_id": None,
            "ai_message_id": ai_message_id,
            "trace_id": out.trace_id,
            "sent_at": None,
            "delivered_at": None,
            "read_at": None,
            "created_at": session.at,
            "version": 1,
        }
    )


def _events(out: Outgoing, session: Row[Any], view: MessageView, public_id: str) -> list[Event]:
    message = _conversation_message(out, session, public_id)
    conversation_id, at = session.conversation_id, session.at
    events: list[Event] = [MessageCreated(timestamp=at, conversation_id=conversation_id, message=message)]
    if out.turn_id is not None and out.failure is None:
        events.append(AiResponseComplete(timestamp=at, conversation_id=conversation_id, message=message))
    if out.failure is not None:
        events.append(ConversationError(timestamp=at, conversation_id=conversation_id, message=out.failure))
    events.append(ChatMessageCreated(timestamp=at, session_id=out.session_id, message=view))
    events.append(SessionUpdated(timestamp=at, session=session_view(mapping(session))))
    return events


async def _open(conn: AsyncConnection, out: Outgoing) -> Row[Any]:
    opened = await conn.execute(
        _OPEN,
        {
            "session_id": out.session_id,
            "count": 1,
            "processed_no": out.processed_no,
            "handled": list(out.handled),
            "turn_id": out.turn_id,
            "tokens": out.input_tokens + out.output_tokens,
            "answers": out.answers,
        },
    )
    return opened.one()


async def record(conn: AsyncConnection, out: Outgoing) -> tuple[MessageView, Aggregate]:
    """Store an outbound message. The caller has locked the session (`owner_of`) and looked for an existing one."""
    if out.closing:
        await complete_handoff(conn, out.session_id)
    session = await _open(conn, out)
    message_id, ai_message_id = uuid4(), uuid4()
    public_id = reply_public_id(out.turn_id) if out.turn_id else str(uuid4())
    nonces = [f"{message_id.hex[:20]}-{number}" for number in range(1, len(out.parts) + 1)]
    view = _view(out, session, message_id, ai_message_id, nonces)
    rows = [outbox.event_row(event) for event in _events(out, session, view, public_id)]
    if out.signal:
        rows.append(signal_for(view, session.channel_id, session.platform))
    aggregate = outbox.session_aggregate(session.account_id, out.session_id)
    await conn.execute(
        _INSERT,
        _message_columns(out, view, public_id, nonces)
        | {
            "conversation_id": session.ai_conversation_id,
            "sequence_number": session.last_sequence,
            "channel_id": session.channel_id,
            "agent_id": session.agent_id,
            "reply_to": orjson.dumps(session.reply_to).decode(),
            "aggregate": aggregate.name,
            "version": session.version,
            "rows": orjson.dumps(rows).decode(),
        },
    )
    return view, aggregate


def signal_for(view: MessageView, channel_id: UUID, platform: str) -> dict[str, object]:
    """Shape the outbox row that tells the session's workflow to deliver a message."""
    return outbox.signal_row(
        DELIVER_RECORDED,
        {
            "session_id": str(view.session_id),
            "channel_id": str(channel_id),
            "platform": platform,
            "message_id": str(view.id),
            "generation": view.generation,
        },
    )


def _message_columns(out: Outgoing, view: MessageView, public_id: str, nonces: list[str]) -> dict[str, object]:
    parts = [
        {"id": str(uuid4()), "part_no": number, "body": part.body, "plain": part.plain, "nonce": nonce}
        for number, (part, nonce) in enumerate(zip(out.parts, nonces, strict=True), start=1)
    ]
    return {
        "ai_message_id": view.ai_message_id,
        "public_id": public_id,
        "content": storable(out.content),
        "user_id": out.user_id,
        "tokens": out.input_tokens + out.output_tokens,
        "message_id": view.id,
        "session_id": out.session_id,
        "turn_id": out.turn_id,
        "client_id": out.client_id,
        "trace_id": out.trace_id,
        "closing": out.closing,
        "parts": orjson.dumps(parts).decode(),
        "turn_status": "failed" if out.failure else "completed",
        "reason": out.failure,
        "input_tokens": out.input_tokens,
        "output_tokens": out.output_tokens,
    }


async def record_operator_message(conn: AsyncConnection, out: Outgoing) -> tuple[MessageView, Aggregate | None]:
    """Store what an operator answers; it is delivered in its order by the session's workflow.

    Idempotent by `client_id`: a repeat returns the first message and no aggregate. Raises NotFoundError,
    ConflictError for a blocked session.
    """
    owner = await owner_of(conn, out.session_id)
    if owner is None:
        raise NotFoundError("No such session")
    if owner[1] == "blocked":
        raise ConflictError("The session is blocked")
    if out.client_id is not None:
        stored = await existing(conn, out)
        if stored is not None:
            return stored, None
    return await record(conn, out)


async def retry_message(conn: AsyncConnection, account_id: UUID, session_id: UUID, message_id: UUID) -> Aggregate:
    """Send again what did not arrive: its dead and unknown parts, as the next generation (ruling 3).

    Raises NotFoundError, ConflictError when there is nothing to be sent again.
    """
    if await owner_of(conn, session_id) is None:
        raise NotFoundError("No such session")
    row = (await conn.execute(_NEXT_GENERATION, {"message_id": message_id, "session_id": session_id})).one_or_none()
    if row is None:
        raise ConflictError("Nothing of this message is dead or unknown")
    version, at = await parts.lock_session(conn, session_id)
    view = await parts.settle_message(conn, message_id)
    signal = signal_for(view, row.channel_id, row.platform)
    aggregate = outbox.session_aggregate(account_id, session_id)
    await outbox.write(conn, aggregate, version, [parts.status_event(view, at), signal], view.trace_id)
    return aggregate
