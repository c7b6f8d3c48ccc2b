"""Sessions, their messages and conversations as readers see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rows import (
    CONVERSATION_MESSAGE_COLUMNS,
    MESSAGE_COLUMNS,
    MESSAGE_TYPES,
    SESSION_COLUMNS,
    conversation_message_view,
    mapping,
    message_view,
    preview,
    session_view,
)
from domain.errors import NotFoundError
from domain.views import (
    ConversationMessageView,
    MessageDetailsView,
    MessageView,
    SessionDetailsView,
    SessionView,
    TroubledPartView,
)

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
        s.owner_user_id, s.owner_version, s.closed_at
    FROM chat_sessions s JOIN chat_channels ch ON ch.id = s.channel_id
    JOIN ai_conversations c ON c.id = s.ai_conversation_id WHERE s.id = :id
    """  # noqa: S608 - constant columns
).columns(user_metadata=JSONB)
_MESSAGES: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS}, count(*) OVER () AS total FROM chat_messages m
    WHERE m.session_id = :session_id
      AND (CAST(:direction AS text) IS NULL OR m.direction = :direction)
      AND (CAST(:type AS text) IS NULL OR m.message_type = :type)
      AND (CAST(:since AS timestamptz) IS NULL OR m.created_at >= :since)
    ORDER BY m.created_at DESC, m.id DESC LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES)
_MESSAGE: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS}, m.content AS raw_content, m.sanitized_content, m.platform_metadata
    FROM chat_messages m WHERE m.id = :id AND m.session_id = :session_id
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES, platform_metadata=JSONB)
_CONVERSATION: Final = text(
    "SELECT id, conversation_id FROM ai_conversations WHERE conversation_id = :id OR CAST(id AS text) = :id"
)
_CONVERSATION_MESSAGES: Final = text(
    f"""
    SELECT {CONVERSATION_MESSAGE_COLUMNS} FROM ai_messages a
    WHERE a.conversation_id = :id AND a.deleted_at IS NULL
      AND (CAST(:before AS bigint) IS NULL OR a.sequence_number < :before)
      AND (CAST(:after AS bigint) IS NULL OR a.sequence_number > :after)
    ORDER BY a.sequence_number DESC LIMIT :limit
    """  # noqa: S608 - constant columns
)
_TROUBLED: Final = text(
    """
    SELECT d.message_id, d.session_id, d.channel_id, d.part_no, d.status, d.error_code, d.error_message, d.attempts,
        d.plain, d.created_at, count(*) OVER () AS total
    FROM message_deliveries d JOIN chat_messages m ON m.id = d.message_id AND m.generation = d.generation
    WHERE d.status IN ('dead', 'unknown')
    ORDER BY d.created_at DESC LIMIT :limit OFFSET :offset
    """
)


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
    rows = (await conn.execute(_LIST, {**values, "active": active, "limit": limit, "offset": offset})).all()
    return [session_view(mapping(row)) for row in rows], rows[0].total if rows else 0


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


async def messages(
    conn: AsyncConnection,
    session_id: UUID,
    *,
    direction: str | None = None,
    message_type: str | None = None,
    since: datetime | None = None,
    limit: int = 25,
    offset: int = 0,
) -> tuple[list[MessageView], int]:
    """Return a page of a session's messages, newest first, and how many there are. Raises NotFoundError."""
    await get(conn, session_id)
    values = {"session_id": session_id, "direction": direction, "type": message_type, "since": since}
    rows = (await conn.execute(_MESSAGES, {**values, "limit": limit, "offset": offset})).all()
    return [message_view(mapping(row)) for row in rows], rows[0].total if rows else 0


async def message(conn: AsyncConnection, session_id: UUID, message_id: UUID) -> MessageDetailsView:
    """Return a message in full. Raises NotFoundError."""
    row = (await conn.execute(_MESSAGE, {"id": message_id, "session_id": session_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such message")
    base = message_view(mapping(row))
    extra = {name: mapping(row)[name] for name in ("raw_content", "sanitized_content", "platform_metadata")}
    return MessageDetailsView.model_validate({**base.model_dump(), **extra})


async def find_conversation(conn: AsyncConnection, conversation_id: str) -> tuple[UUID, str] | None:
    """Return a conversation's row id and public id, found by either; None when the account has no such one."""
    row = (await conn.execute(_CONVERSATION, {"id": conversation_id})).one_or_none()
    return None if row is None else (row.id, row.conversation_id)


async def conversation_messages(
    conn: AsyncConnection, conversation_id: UUID, *, before: int | None, after: int | None, limit: int
) -> list[ConversationMessageView]:
    """Return messages around a sequence cursor, the oldest first."""
    rows = await conn.execute(
        _CONVERSATION_MESSAGES, {"id": conversation_id, "before": before, "after": after, "limit": limit}
    )
    return [conversation_message_view(mapping(row)) for row in rows][::-1]


async def troubled(conn: AsyncConnection, *, limit: int, offset: int) -> tuple[list[TroubledPartView], int]:
    """Return a page of parts that ended `dead` or `unknown`, newest first, and how many there are."""
    rows: list[Any] = list((await conn.execute(_TROUBLED, {"limit": limit, "offset": offset})).all())
    views = [
        TroubledPartView(
            message_id=row.message_id,
            session_id=row.session_id,
            channel_id=row.channel_id,
            part=row.part_no,
            status=row.status,
            error_code=row.error_code,
            error=row.error_message,
            attempts=row.attempts,
            body_preview=preview(row.plain),
            created_at=row.created_at,
        )
        for row in rows
    ]
    return views, rows[0].total if rows else 0
