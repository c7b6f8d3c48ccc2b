"""Files of a conversation, by their names: what an agent may send again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_NAMED: Final = text(
    """
    SELECT f.id, f.attachment_type AS kind, COALESCE(f.filename, f.attachment_type) AS filename, f.mime_type,
        f.file_size AS size_bytes, f.content_hash AS digest
    FROM chat_message_attachments f JOIN chat_messages m ON m.id = f.message_id
    WHERE m.session_id = :session_id AND f.state = 'stored' AND f.file_size > 0
      AND COALESCE(f.filename, f.attachment_type) = :name
    ORDER BY f.created_at DESC LIMIT 1
    """
)


@dataclass(frozen=True, slots=True)
class SessionFile:
    """A stored file of a conversation. `digest`: its SHA-256, in hex."""

    id: UUID
    kind: str
    filename: str
    mime_type: str
    size_bytes: int
    digest: str


async def newest(conn: AsyncConnection, session_id: UUID, name: str) -> SessionFile | None:
    """Return the newest stored file of this name in the session; one without a name is called by its kind."""
    row = (await conn.execute(_NAMED, {"session_id": session_id, "name": name})).one_or_none()
    return None if row is None else SessionFile(*row)
