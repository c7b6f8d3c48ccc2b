"""Messages as readers see them: of a session, of an AI conversation, and the parts that need a person."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.paging import fetch_page
from db.rows import (
    CONVERSATION_MESSAGE_COLUMNS,
    MESSAGE_COLUMNS,
    MESSAGE_TYPES,
    conversation_message_view,
    mapping,
    message_view,
    preview,
)
from domain.errors import NotFoundError
from domain.views import ConversationMessageView, MessageDetailsView, MessageView, TroubledPartView

_SESSION: Final = text("SELECT 1 FROM chat_sessions WHERE id = :id")
_LIST: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS}, count(*) OVER () AS total FROM chat_messages m
    WHERE m.session_id = :session_id
      AND (CAST(:direction AS text) IS NULL OR m.direction = :direction)
      AND (CAST(:type AS text) IS NULL OR m.message_type = :type)
      AND (CAST(:since AS timestamptz) IS NULL OR m.created_at >= :since)
    ORDER BY m.created_at DESC, m.id DESC LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES)
_BESIDE: Final = f"""
    SELECT {MESSAGE_COLUMNS} FROM chat_messages m WHERE m.session_id = :session_id AND (m.created_at, m.id)
"""  # noqa: S608 - constant columns
_EDGE: Final = "(SELECT e.created_at, e.id FROM chat_messages e WHERE e.id = :edge)"
_BEFORE: Final = text(f"{_BESIDE} < {_EDGE} ORDER BY m.created_at DESC, m.id DESC LIMIT :limit").columns(
    **MESSAGE_TYPES
)
_AFTER: Final = text(f"{_BESIDE} > {_EDGE} ORDER BY m.created_at, m.id LIMIT :limit").columns(**MESSAGE_TYPES)
_ONE: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS}, m.content AS raw_content, m.sanitized_content, m.platform_metadata
    FROM chat_messages m WHERE m.id = :id AND m.session_id = :session_id
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES, platform_metadata=JSONB)
_REPLY_TO: Final = text("SELECT reply_to FROM chat_messages WHERE id = :id").columns(reply_to=JSONB)
_SPOKEN: Final = f"""
    SELECT {CONVERSATION_MESSAGE_COLUMNS} FROM ai_messages a
    WHERE a.conversation_id = :id AND a.deleted_at IS NULL
      AND (CAST(:before AS bigint) IS NULL OR a.sequence_number < :before)
      AND (CAST(:after AS bigint) IS NULL OR a.sequence_number > :after)
"""  # noqa: S608 - constant columns
_LATEST: Final = text(f"{_SPOKEN} ORDER BY a.sequence_number DESC LIMIT :limit")
_NEXT: Final = text(f"{_SPOKEN} ORDER BY a.sequence_number LIMIT :limit")
_TROUBLED: Final = text(
    """
    SELECT d.message_id, d.session_id, d.channel_id, d.part_no, d.status, d.error_code, d.error_message, d.attempts,
        COALESCE(NULLIF(d.plain, ''), '[' || (d.payload ->> 'kind') || ']', '') AS plain, d.created_at, count(*) OVER () AS total
    FROM message_deliveries d JOIN chat_messages m ON m.id = d.message_id AND m.generation = d.generation
    WHERE d.status IN ('dead', 'unknown')
    ORDER BY d.created_at DESC, d.id LIMIT :limit OFFSET :offset
    """
)


async def listing(
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
    await _check_session(conn, session_id)
    values = {"session_id": session_id, "direction": direction, "type": message_type, "since": since}
    rows, total = await fetch_page(conn, _LIST, values, limit=limit, offset=offset)
    return [message_view(mapping(row)) for row in rows], total


async def beside(
    conn: AsyncConnection, session_id: UUID, edge: UUID, *, newer: bool, limit: int
) -> tuple[list[MessageView], bool]:
    """Return the messages next to one of a session, newest first, and whether there are more on that side.

    Unlike a page, it stays put while messages arrive. Raises NotFoundError for a session or message that is not there.
    """
    await _check_session(conn, session_id)
    await get(conn, session_id, edge)
    values = {"session_id": session_id, "edge": edge, "limit": limit + 1}
    rows = (await conn.execute(_AFTER if newer else _BEFORE, values)).all()
    views = [message_view(mapping(row)) for row in rows[:limit]]
    return views[::-1] if newer else views, len(rows) > limit


async def _check_session(conn: AsyncConnection, session_id: UUID) -> None:
    if (await conn.execute(_SESSION, {"id": session_id})).one_or_none() is None:
        raise NotFoundError("No such session")


async def get(conn: AsyncConnection, session_id: UUID, message_id: UUID) -> MessageDetailsView:
    """Return a message in full. Raises NotFoundError."""
    row = (await conn.execute(_ONE, {"id": message_id, "session_id": session_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such message")
    base = message_view(mapping(row))
    extra = {name: mapping(row)[name] for name in ("raw_content", "sanitized_content", "platform_metadata")}
    return MessageDetailsView.model_validate({**base.model_dump(), **extra})


async def reply_to(conn: AsyncConnection, message_id: UUID) -> dict[str, str | None] | None:
    """Return where an answer to a message goes; None when the account has no such message."""
    found: dict[str, str | None] | None = (await conn.execute(_REPLY_TO, {"id": message_id})).scalar_one_or_none()
    return found


async def of_conversation(
    conn: AsyncConnection, conversation_id: UUID, *, before: int | None, after: int | None, limit: int
) -> list[ConversationMessageView]:
    """Return messages of a conversation, the oldest first: the latest ones, or those next to a sequence number.

    `after` alone gives the next ones upwards, so that a reader who was away misses none.
    """
    upwards = after is not None and before is None
    values = {"id": conversation_id, "before": before, "after": after, "limit": limit}
    rows = (await conn.execute(_NEXT if upwards else _LATEST, values)).all()
    views = [conversation_message_view(mapping(row)) for row in rows]
    return views if upwards else views[::-1]


async def troubled(conn: AsyncConnection, *, limit: int, offset: int) -> tuple[list[TroubledPartView], int]:
    """Return a page of parts that ended `dead` or `unknown`, newest first, and how many there are."""
    rows, total = await fetch_page(conn, _TROUBLED, {}, limit=limit, offset=offset)
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
    return views, total
