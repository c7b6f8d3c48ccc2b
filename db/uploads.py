"""Files that operators uploaded to a session, before a message names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_ADD: Final = text(
    """
    INSERT INTO chat_uploads (id, account_id, session_id, user_id, filename, mime_type, file_size, content_hash)
    VALUES (:id, app_account(), :session_id, :user_id, :filename, :mime_type, :size_bytes, :digest)
    """
)
_LIST: Final = text(
    """
    SELECT id, filename, mime_type, file_size AS size_bytes, content_hash AS digest FROM chat_uploads
    WHERE session_id = :session_id AND id = ANY(:ids)
    """
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in the store. `digest`: its SHA-256, in hex."""

    id: UUID
    filename: str
    mime_type: str
    size_bytes: int
    digest: str


async def add(conn: AsyncConnection, session_id: UUID, user_id: UUID | None, upload: Upload) -> None:
    """Note that a session has a file to be sent."""
    values = {"session_id": session_id, "user_id": user_id, "filename": upload.filename, "mime_type": upload.mime_type}
    await conn.execute(_ADD, values | {"id": upload.id, "size_bytes": upload.size_bytes, "digest": upload.digest})


async def listing(conn: AsyncConnection, session_id: UUID, ids: Sequence[UUID]) -> list[Upload]:
    """Return the session's uploads in the order of `ids`; those that it has not are left out."""
    rows = (await conn.execute(_LIST, {"session_id": session_id, "ids": list(ids)})).all()
    found = {row.id: Upload(row.id, row.filename, row.mime_type, row.size_bytes, row.digest) for row in rows}
    return [found[one] for one in ids if one in found]
