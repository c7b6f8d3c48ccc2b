"""One story from webhook to delivery, found by its trace id within the entered account. For api/traces.py."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, mapping, message_view
from domain.errors import NotFoundError
from domain.views import TracedEventView, TracedTurnView, TracedWebhookView, TraceView
from domain.work import session_workflow_id

_WEBHOOKS: Final = text(
    """
    SELECT w.id, w.channel_id, w.outcome, w.reason, w.received_at, COALESCE((
        SELECT jsonb_agg(jsonb_build_object('dedup_key', e.dedup_key, 'kind', e.kind, 'state', e.state,
            'reason', e.reason) ORDER BY e.raw_index)
        FROM inbound_events e WHERE e.delivery_id = w.id), '[]'::jsonb) AS items
    FROM webhook_deliveries w WHERE w.trace_id = :trace_id ORDER BY w.received_at LIMIT :limit
    """
).columns(items=JSONB)
# A turn that answers several messages carries the trace of the last one; the others find it by their row.
_TURNS: Final = """
    SELECT t.id FROM turns t WHERE t.trace_id = :trace_id
    UNION SELECT m.turn_id FROM chat_messages m WHERE m.trace_id = :trace_id AND m.turn_id IS NOT NULL
"""
_TURN_VIEWS: Final = text(
    f"""
    SELECT t.id, t.session_id, (SELECT name FROM ai_agents a WHERE a.id = t.agent_id) AS agent, t.status, t.reason,
        t.input_tokens, t.output_tokens, t.created_at, t.finished_at, COALESCE((
            SELECT jsonb_agg(jsonb_build_object('step', s.step, 'kind', s.kind, 'name', s.name,
                'input_tokens', s.input_tokens, 'output_tokens', s.output_tokens, 'created_at', s.created_at)
                ORDER BY s.step)
            FROM turn_steps s WHERE s.turn_id = t.id), '[]'::jsonb) AS steps
    FROM turns t WHERE t.id IN ({_TURNS}) ORDER BY t.created_at LIMIT :limit
    """  # noqa: S608 - constant columns
).columns(steps=JSONB)
_MESSAGES: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS} FROM chat_messages m WHERE m.id IN (
        SELECT x.id FROM chat_messages x WHERE x.trace_id = :trace_id
        UNION SELECT x.id FROM chat_messages x WHERE x.direction = 'outbound' AND x.turn_id IN ({_TURNS})
    ) ORDER BY m.created_at, m.id LIMIT :limit
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES)
_WAITING: Final = text(
    "SELECT kind, name, aggregate, created_at FROM outbox WHERE trace_id = :trace_id ORDER BY id LIMIT :limit"
)
_AT_MOST: Final = 200


async def find(conn: AsyncConnection, trace_id: str) -> TraceView:
    """Return all that is known under a trace id. Raises NotFoundError."""
    values = {"trace_id": trace_id, "limit": _AT_MOST}
    webhooks = [TracedWebhookView.model_validate(dict(mapping(row))) for row in await conn.execute(_WEBHOOKS, values)]
    messages = [message_view(mapping(row)) for row in await conn.execute(_MESSAGES, values)]
    if not webhooks and not messages:
        raise NotFoundError("Nothing is known under this trace id")
    turns = [TracedTurnView.model_validate(dict(mapping(row))) for row in await conn.execute(_TURN_VIEWS, values)]
    waiting = [TracedEventView.model_validate(dict(mapping(row))) for row in await conn.execute(_WAITING, values)]
    sessions = dict.fromkeys(str(message.session_id) for message in messages)
    return TraceView(
        trace_id=trace_id,
        workflow_ids=[session_workflow_id(session_id) for session_id in sessions],
        webhooks=webhooks,
        messages=messages,
        turns=turns,
        waiting=waiting,
    )
