"""Files of messages: what is to be fetched, how each ended, what readers and agents learn of it.

A file's end is written once, where it still waits: a repeated fetch finds it settled and changes nothing. Called by
activities/media.py and api/attachments.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox, parts
from db.outbox import Aggregate
from db.rows import CONVERSATION_MESSAGE_COLUMNS, conversation_message_view, mapping
from domain.errors import NotFoundError
from domain.events.chat import MessageUpdated
from domain.file_views import AttachmentDetailsView, AttachmentView
from domain.files import AttachmentState, FileNote, is_label
from domain.sanitize import sanitize, storable

MAX_TRANSCRIPTION: Final = 20_000
"""Characters of a transcription that are kept."""

_COLUMNS: Final = """
    f.id, f.message_id, m.session_id, m.channel_id, f.attachment_type, f.mime_type, f.filename, f.platform_file_id,
    f.file_size, f.state, f.content_hash, f.transcription
"""
_FROM: Final = "FROM chat_message_attachments f JOIN chat_messages m ON m.id = f.message_id"
_WAITING: Final = text(
    f"""
    SELECT f.id, f.attachment_type, f.position, flow.waits_for_files(m) AS awaited {_FROM}
    WHERE m.id = :message_id AND f.state = 'waiting' ORDER BY f.position
    """
)
_ONE: Final = text(f"SELECT {_COLUMNS} {_FROM} WHERE f.id = :id")
_SETTLE: Final = text(
    """
    UPDATE chat_message_attachments SET state = :state, reason = :reason, settled_at = now(),
        attachment_type = COALESCE(:attachment_type, attachment_type), mime_type = COALESCE(:mime_type, mime_type),
        filename = COALESCE(:filename, filename), file_size = COALESCE(:file_size, file_size),
        content_hash = :content_hash, storage_url = :storage_url, metadata = metadata || CAST(:metadata AS jsonb),
        scanned_for_malware = :scanned, malware_detected = :malware, scanned_at = CASE WHEN :scanned THEN now() END
    WHERE id = :id AND state = 'waiting' RETURNING id
    """
)
_EXPIRE: Final = text(
    "UPDATE chat_message_attachments SET state = 'expired', reason = :reason, content_hash = NULL, storage_url = NULL"
    " WHERE id = :id AND state = 'stored' RETURNING id"
)
_TRANSCRIBE: Final = text(
    "UPDATE chat_message_attachments SET transcription = :text WHERE id = :id AND transcription IS NULL RETURNING id"
)
_NOTES: Final = text(
    """
    SELECT f.attachment_type AS kind, f.state, f.filename, f.mime_type, f.file_size AS size_bytes, f.reason,
        CASE WHEN strpos(m.content, f.transcription) = 0 THEN f.transcription END AS transcription
    FROM chat_message_attachments f JOIN chat_messages m ON m.id = f.message_id
    WHERE f.message_id = :message_id ORDER BY f.position
    """
)
_TOUCH: Final = text(
    "UPDATE chat_messages SET version = version + 1 WHERE id = :id RETURNING content, ai_message_id, trace_id"
)
_FILL: Final = text("UPDATE chat_messages SET content = :content, sanitized_content = :sanitized WHERE id = :id")
_TELL: Final = text(
    f"""
    WITH told AS (
        UPDATE ai_messages SET content = COALESCE(:content, content),
            content_metadata = content_metadata || jsonb_build_object('files', CAST(:files AS text))
        WHERE id = :id RETURNING *
    )
    SELECT {CONVERSATION_MESSAGE_COLUMNS}, c.conversation_id AS public_conversation_id
    FROM told a JOIN ai_conversations c ON c.id = a.conversation_id
    """  # noqa: S608 - constant columns
)
_DETAILS: Final = text(
    f"""
    SELECT file.value AS view, f.message_id, f.platform_file_id, f.storage_url, f.metadata, f.scanned_for_malware,
        f.malware_detected, f.scanned_at, f.created_at, f.content_hash
    {_FROM}, LATERAL jsonb_array_elements(flow.message_files(m.id)) file
    WHERE f.id = :id AND CAST(file.value ->> 'id' AS uuid) = f.id
      AND (CAST(:message_id AS uuid) IS NULL OR f.message_id = :message_id)
      AND (CAST(:session_id AS uuid) IS NULL OR m.session_id = :session_id)
    """
).columns(view=JSONB, metadata=JSONB)


@dataclass(frozen=True, slots=True)
class WaitingFile:
    """A file to be fetched. `awaited`: its message's turn waits for it."""

    id: UUID
    kind: str
    position: int
    awaited: bool


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """A file as its fetch needs it. `file_size` is what the platform says, until it is stored."""

    id: UUID
    message_id: UUID
    session_id: UUID
    channel_id: UUID
    attachment_type: str
    mime_type: str
    filename: str | None
    platform_file_id: str | None
    file_size: int | None
    state: str
    content_hash: str | None
    transcription: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a file ended; what is None stays as it was. `storage_key`: its name in the store."""

    state: AttachmentState
    reason: str | None = None
    attachment_type: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    file_size: int | None = None
    content_hash: str | None = None
    storage_key: str | None = None
    metadata: dict[str, object] = field(default_factory=dict[str, object])
    scanned: bool = False
    malware: bool = False


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file's details, and the hash under which its bytes are kept; None where they are not."""

    view: AttachmentDetailsView
    content_hash: str | None


class AlreadySettledError(Exception):
    """Somebody else settled the file: the transaction is given up, so that it leaves no trace."""


async def waiting(conn: AsyncConnection, message_id: UUID) -> list[WaitingFile]:
    """Return the files of a message that are not settled."""
    found = await conn.execute(_WAITING, {"message_id": message_id})
    return [WaitingFile(row.id, row.attachment_type, row.position, row.awaited) for row in found]


async def load(conn: AsyncConnection, attachment_id: UUID) -> AttachmentRow:
    """Return a file of the entered account. Raises NotFoundError."""
    found = (await conn.execute(_ONE, {"id": attachment_id})).one_or_none()
    if found is None:
        raise NotFoundError("No such attachment")
    return AttachmentRow(*found)


async def details(
    conn: AsyncConnection, attachment_id: UUID, *, message_id: UUID | None = None, session_id: UUID | None = None
) -> StoredFile:
    """Return a file in full; with the others, only where it belongs to them. Raises NotFoundError."""
    values = {"id": attachment_id, "message_id": message_id, "session_id": session_id}
    row = (await conn.execute(_DETAILS, values)).one_or_none()
    if row is None:
        raise NotFoundError("No such attachment")
    found = dict(mapping(row))
    base = AttachmentView.model_validate(found.pop("view"))
    content_hash: str | None = found.pop("content_hash")
    return StoredFile(AttachmentDetailsView.model_validate({**base.model_dump(), **found}), content_hash)


async def settle(conn: AsyncConnection, account_id: UUID, row: AttachmentRow, ending: Ending) -> Aggregate:
    """Write how a file ended and have readers told. Raises AlreadySettledError, which gives the transaction up."""
    version, at = await parts.lock_session(conn, row.session_id)
    values: dict[str, object] = {
        "id": row.id,
        "state": ending.state.value,
        "reason": storable(ending.reason)[:500] if ending.reason else None,
        "attachment_type": ending.attachment_type,
        "mime_type": ending.mime_type,
        "filename": ending.filename,
        "file_size": ending.file_size,
        "content_hash": ending.content_hash,
        "storage_url": ending.storage_key,
        "metadata": outbox.json_text(ending.metadata),
        "scanned": ending.scanned,
        "malware": ending.malware,
    }
    if (await conn.execute(_SETTLE, values)).one_or_none() is None:
        raise AlreadySettledError
    return await _publish(conn, account_id, row, version, at)


async def expire(conn: AsyncConnection, account_id: UUID, row: AttachmentRow, reason: str) -> Aggregate:
    """Let go of a stored file whose time is over, and have readers told. Raises AlreadySettledError, as `settle`."""
    version, at = await parts.lock_session(conn, row.session_id)
    if (await conn.execute(_EXPIRE, {"id": row.id, "reason": reason})).one_or_none() is None:
        raise AlreadySettledError
    return await _publish(conn, account_id, row, version, at)


async def transcribed(conn: AsyncConnection, account_id: UUID, row: AttachmentRow, said: str) -> Aggregate:
    """Keep what a recording says; it becomes the text of a message without words (contract §1.4).

    Raises AlreadySettledError.
    """
    version, at = await parts.lock_session(conn, row.session_id)
    kept = storable(said).strip()[:MAX_TRANSCRIPTION]
    if (await conn.execute(_TRANSCRIBE, {"id": row.id, "text": kept})).one_or_none() is None:
        raise AlreadySettledError
    return await _publish(conn, account_id, row, version, at, said=kept)


async def _publish(
    conn: AsyncConnection, account_id: UUID, row: AttachmentRow, version: int, at: datetime, *, said: str = ""
) -> Aggregate:
    """Tell the conversation's twin what became of the files, and readers how the message stands, under the session's lock."""
    message = (await conn.execute(_TOUCH, {"id": row.message_id})).one()
    content = f"{message.content}\n{said}" if said and is_label(message.content) else None
    if content is not None:
        await conn.execute(_FILL, {"id": row.message_id, "content": content, "sanitized": sanitize(content)})
    rows = [parts.status_event(await parts.message_with_parts(conn, row.message_id), at)]
    if message.ai_message_id is not None:
        told = {"id": message.ai_message_id, "content": content, "files": await notes(conn, row.message_id)}
        twin: Any = (await conn.execute(_TELL, told)).one()
        if content is not None:
            view = conversation_message_view(mapping(twin))
            event = MessageUpdated(timestamp=at, conversation_id=twin.public_conversation_id, message=view)
            rows.append(outbox.event_row(event))
    aggregate = outbox.session_aggregate(account_id, row.session_id)
    await outbox.write(conn, aggregate, version, rows, message.trace_id)
    return aggregate


async def notes(conn: AsyncConnection, message_id: UUID) -> str | None:
    """Return what an agent is told of a message's files, a line each; None where it has none."""
    found = [FileNote(**mapping(row)) for row in await conn.execute(_NOTES, {"message_id": message_id})]
    return "\n".join(note.line() for note in found) or None
