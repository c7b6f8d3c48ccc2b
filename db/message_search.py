"""Finding messages by words in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, mapping, message_view
from domain.views import MessageView

BACK: Final = timedelta(days=30)
"""How far back one looks where nothing is said: the rows of a time are read, there is no index of words."""
_SEARCH: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS} FROM chat_messages m
    WHERE m.created_at >= :since AND m.content ILIKE :pattern ESCAPE '\\'
      AND (CAST(:session_id AS uuid) IS NULL OR m.session_id = :session_id)
    ORDER BY m.created_at DESC, m.id LIMIT :limit
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES)


async def search(
    conn: AsyncConnection, words: str, *, session_id: UUID | None = None, since: datetime | None = None, limit: int = 25
) -> list[MessageView]:
    """Return messages of the entered account that hold these words, in any case, the newest first."""
    literal = words.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    values = {
        "pattern": f"%{literal}%",
        "session_id": session_id,
        "since": since or datetime.now(UTC) - BACK,
        "limit": limit,
    }
    return [message_view(mapping(row)) for row in (await conn.execute(_SEARCH, values)).all()]
