"""A session as its workflow sees it: where it stands, what waits, and the two changes that time makes."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import conversations, outbox
from db.outbox import Aggregate
from db.rows import SESSION_COLUMNS, mapping, session_view
from domain.channel import BusyMode
from domain.events.chat import SessionUpdated
from domain.session import CLOSE_AFTER_S, IDLE_AFTER_S
from domain.work import Arrival, Recorded, SessionPlan

_PLAN: Final = text(
    """
    SELECT s.processed_no, s.last_arrival_no, s.status, s.owner, s.owner_version, c.configuration,
        COALESCE(cardinality(a.tools), 0) AS tools
    FROM chat_sessions s JOIN chat_channels c ON c.id = s.channel_id
    LEFT JOIN ai_agents a ON a.id = COALESCE(s.assigned_agent_id, c.default_agent_id)
    WHERE s.id = :session_id
    """
).columns(configuration=JSONB)
_WAITING: Final = text(
    """
    SELECT m.arrival_no, m.order_key, CAST(m.id AS text) AS id, m.trace_id, flow.waits_for_files(m) AS files
    FROM chat_messages m
    WHERE session_id = :session_id AND direction = 'inbound' AND handled_at IS NULL AND arrival_no IS NOT NULL
    ORDER BY order_key, arrival_no
    """
)
_UNDELIVERED: Final = text(
    """
    SELECT DISTINCT ON (m.created_at, m.id) CAST(m.id AS text) AS id, m.generation, m.trace_id FROM chat_messages m
    JOIN message_deliveries d ON d.message_id = m.id AND d.generation = m.generation
    WHERE m.session_id = :session_id AND m.direction = 'outbound' AND m.delivery_status = 'pending'
      AND d.status IN ('queued', 'attempting')
    ORDER BY m.created_at, m.id
    """
)
_IDLE: Final = text(
    f"""
    UPDATE chat_sessions s SET status = 'idle', version = s.version + 1
    WHERE s.id = :session_id AND s.status = 'active' AND s.last_arrival_no = :seen
    RETURNING {SESSION_COLUMNS}, s.account_id, now() AS at, NULL AS conversation
    """  # noqa: S608 - constant columns
)
_CLOSE: Final = text(
    f"""
    WITH s AS (
        UPDATE chat_sessions s SET status = 'closed', closed_at = now(), version = s.version + 1,
            user_metadata = s.user_metadata || jsonb_build_object('close_reason', CAST(:reason AS text))
        WHERE s.id = :session_id AND s.status IN ('active', 'idle') AND s.last_arrival_no = :seen
        RETURNING {SESSION_COLUMNS}, s.account_id
    ), c AS (
        UPDATE ai_conversations c SET status = 'completed', version = c.version + 1
        FROM s WHERE c.id = s.ai_conversation_id AND c.status <> 'completed'
        RETURNING flow.conversation_view(c) AS view
    )
    SELECT s.*, now() AS at, (SELECT c.view::text FROM c) AS conversation FROM s
    """  # noqa: S608 - constant columns
)


async def load_plan(conn: AsyncConnection, session_id: UUID, *, defaults: tuple[float, float]) -> SessionPlan | None:
    """Return where a session stands and all that waits in it; None when it does not exist (any more)."""
    row = (await conn.execute(_PLAN, {"session_id": session_id})).one_or_none()
    if row is None:
        return None
    waiting = await conn.execute(_WAITING, {"session_id": session_id})
    undelivered = await conn.execute(_UNDELIVERED, {"session_id": session_id})
    configuration: dict[str, Any] = row.configuration
    return SessionPlan(
        processed_no=row.processed_no,
        last_arrival_no=row.last_arrival_no,
        status=row.status,
        owner=row.owner,
        owner_version=row.owner_version,
        busy_mode=str(configuration.get("busy_mode") or BusyMode.QUEUE),
        collect_window_ms=int(configuration.get("collect_window_ms") or 1500),
        inline_turns=row.tools == 0,
        idle_after_s=float(configuration.get("idle_after_s") or defaults[0]),
        close_after_s=float(configuration.get("close_after_s") or defaults[1]),
        waiting=[Arrival(*found) for found in waiting],
        undelivered=[Recorded(found.id, found.generation, found.trace_id) for found in undelivered],
    )


DEFAULT_TIMES: Final = (float(IDLE_AFTER_S), float(CLOSE_AFTER_S))


async def _publish(conn: AsyncConnection, session: Row[Any]) -> Aggregate:
    aggregate = outbox.session_aggregate(session.account_id, session.id)
    event = SessionUpdated(timestamp=session.at, session=session_view(mapping(session)))
    rows = [outbox.event_row(event), *conversations.updated(session.account_id, session.conversation, session.at)]
    await outbox.write(conn, aggregate, session.version, rows, "")
    return aggregate


async def mark_idle(conn: AsyncConnection, session_id: UUID, seen: int) -> Aggregate | None:
    """Make an active session idle, unless something arrived that the caller has not `seen`; None when it did."""
    row = (await conn.execute(_IDLE, {"session_id": session_id, "seen": seen})).one_or_none()
    return None if row is None else await _publish(conn, row)


async def close(conn: AsyncConnection, session_id: UUID, seen: int, reason: str) -> Aggregate | None:
    """Close a session by compare-and-set on its last arrival (ruling 8); None when something arrived meanwhile."""
    row = (await conn.execute(_CLOSE, {"session_id": session_id, "seen": seen, "reason": reason})).one_or_none()
    return None if row is None else await _publish(conn, row)
