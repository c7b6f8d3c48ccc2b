"""Outbound messages become rows: the AI's reply, an operator's answer, a notice, an explicit retry.

One transaction writes the conversation's message, the chat message, its parts and the outbox. A turn has one reply at
most: the unique index on `turn_id` says so, and a second writer is given the first one's message (ONCE-IN).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

import orjson
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.handoff import complete_handoff
from db.outbox import Aggregate
from db.outgoing import Outgoing, new_events, new_view
from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, SESSION_COLUMNS, mapping, message_view
from db.turns import StepRow
from domain.sanitize import storable
from domain.views import MessageView

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
_LOCK: Final = text("SELECT owner, status FROM chat_sessions WHERE id = :id FOR UPDATE")
_LOCK_TURN: Final = text(
    """
    SELECT s.owner, s.status,
        (SELECT jsonb_agg(jsonb_build_array(t.step, t.kind, t.name, t.request, t.response, t.input_tokens,
            t.output_tokens) ORDER BY t.step) FROM turn_steps t WHERE t.turn_id = :turn_id) AS steps,
        (SELECT jsonb_build_array(m.id, m.generation, m.trace_id) FROM chat_messages m
         WHERE m.turn_id = :turn_id AND m.direction = 'outbound') AS stored
    FROM chat_sessions s WHERE s.id = :id FOR NO KEY UPDATE OF s
    """
).columns(steps=JSONB, stored=JSONB)

DELIVER_RECORDED: Final = "deliver_recorded"
_REPLY_NAMESPACE: Final = UUID("6f6d2b1e-2d0f-4a62-9b39-0f3b9a4f6d11")


def reply_public_id(turn_id: UUID) -> str:
    """Return the public id that a turn's reply will have: deltas carry it before the reply is recorded."""
    return str(uuid5(_REPLY_NAMESPACE, str(turn_id)))


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


@dataclass(frozen=True, slots=True)
class TurnStand:
    """Where a turn stands when its reply is to be recorded, read under the session's lock."""

    owner: str
    status: str
    steps: list[StepRow]
    stored: tuple[str, int, str] | None


async def lock_turn(conn: AsyncConnection, session_id: UUID, turn_id: UUID) -> TurnStand | None:
    """Lock the session and return the turn's steps and its stored reply (id, generation, trace), if it has one."""
    row = (await conn.execute(_LOCK_TURN, {"id": session_id, "turn_id": turn_id})).one_or_none()
    if row is None:
        return None
    steps = [StepRow(*step) for step in row.steps or ()]
    return TurnStand(row.owner, row.status, steps, tuple(row.stored) if row.stored else None)


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
    view = new_view(out, session, message_id, ai_message_id, nonces)
    rows = [outbox.event_row(event) for event in new_events(out, session, view, public_id)]
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
