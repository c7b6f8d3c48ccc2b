"""Sessions as readers see them, and how they are found by their AI conversation. Messages: message_views.py."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.paging import fetch_page
from db.rows import SESSION_COLUMNS, mapping, session_view
from domain.errors import NotFoundError
from domain.ids import as_uuid
from domain.views import SessionDetailsView, SessionView

_LIST: Final = text(
    f"""
    SELECT {SESSION_COLUMNS}, count(*) OVER () AS total FROM chat_sessions s
    WHERE (CAST(:channel_id AS uuid) IS NULL OR s.channel_id = :channel_id)
      AND (CAST(:status AS text) IS NULL OR s.status = :status)
      AND (CAST(:agent_id AS uuid) IS NULL OR s.assigned_agent_id = :agent_id)
      AND (CAST(:user AS text) IS NULL OR s.platform_user_id = :user)
      AND (CAST(:since AS timestamptz) IS NULL OR s.last_activity_at >= :since)
      AND (NOT :active OR s.status IN ('active', 'idle'))
    ORDER BY s.last_activity_at DESC, s.id LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
)
_ONE: Final = text(
    f"""
    SELECT {SESSION_COLUMNS}, ch.name AS channel_name, c.conversation_id, s.agent_handoff_count, s.user_metadata,
        s.owner_user_id, s.owner_version, s.closed_at, s.last_inbound_at, NULL AS reply_window_until
    FROM chat_sessions s JOIN chat_channels ch ON ch.id = s.channel_id
    JOIN ai_conversations c ON c.id = s.ai_conversation_id WHERE s.id = :id
    """  # noqa: S608 - constant columns
).columns(user_metadata=JSONB)
_CONVERSATION: Final = text(
    "SELECT id, conversation_id FROM ai_conversations WHERE conversation_id = :id OR id = CAST(:row_id AS uuid)"
)
_EXTENT: Final = text("SELECT last_sequence, message_count FROM ai_conversations WHERE id = :id")


async def listing(
    conn: AsyncConnection,
    *,
    channel_id: UUID | None = None,
    status: str | None = None,
    agent_id: UUID | None = None,
    user: str | None = None,
    since: datetime | None = None,
    active: bool = False,
    limit: int = 25,
    offset: int = 0,
) -> tuple[list[SessionView], int]:
    """Return a page of sessions, the latest activity first, and how many there are."""
    values = {"channel_id": channel_id, "status": status, "agent_id": agent_id, "user": user, "since": since}
    rows, total = await fetch_page(conn, _LIST, {**values, "active": active}, limit=limit, offset=offset)
    return [session_view(mapping(row)) for row in rows], total


async def get(conn: AsyncConnection, session_id: UUID) -> SessionDetailsView:
    """Return a session in full. Raises NotFoundError."""
    row = (await conn.execute(_ONE, {"id": session_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such session")
    return SessionDetailsView.model_validate({name: mapping(row)[name] for name in SessionDetailsView.model_fields})


_FIND: Final = text(f"SELECT {SESSION_COLUMNS} FROM chat_sessions s WHERE s.id = :id")  # noqa: S608 - constant columns
_OF_CONVERSATION: Final = text("SELECT id FROM chat_sessions WHERE ai_conversation_id = :id")


async def find(conn: AsyncConnection, session_id: UUID) -> SessionView | None:
    """Return a session; None when the entered account has no such one."""
    row = (await conn.execute(_FIND, {"id": session_id})).one_or_none()
    return None if row is None else session_view(mapping(row))


async def session_of_conversation(conn: AsyncConnection, conversation_id: UUID) -> UUID | None:
    """Return the session that an AI conversation belongs to."""
    found: UUID | None = (await conn.execute(_OF_CONVERSATION, {"id": conversation_id})).scalar_one_or_none()
    return found


async def find_conversation(conn: AsyncConnection, conversation_id: str) -> tuple[UUID, str] | None:
    """Return a conversation's row id and public id, found by either; None when the account has no such one."""
    row = (await conn.execute(_CONVERSATION, {"id": conversation_id, "row_id": as_uuid(conversation_id)})).one_or_none()
    return None if row is None else (row.id, row.conversation_id)


async def conversation_extent(conn: AsyncConnection, conversation_id: UUID) -> tuple[int, int]:
    """Return a conversation's last sequence number and how many messages it has."""
    row = (await conn.execute(_EXTENT, {"id": conversation_id})).one()
    return row.last_sequence, row.message_count
