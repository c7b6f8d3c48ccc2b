"""Files that an agent sends: one that the conversation has already, or a text that it writes. Called by activities/tools.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID, uuid4

from activities.files import FileStore
from adapters.capabilities import Capabilities
from db import garbage, session_files, uploads
from db.session import Database
from db.uploads import Upload
from domain.errors import InvalidInputError, UnavailableError
from domain.fallbacks import carried
from domain.filenames import clean_filename
from domain.outbound import FilePart, FileType, OutboundLimits
from domain.sanitize import storable

TEXT_TYPES: Final = {"txt": "text/plain", "csv": "text/csv", "md": "text/markdown"}
"""What an agent may write: text that no program runs."""
MAX_CHARACTERS: Final = 200_000


@dataclass(frozen=True, slots=True)
class FileDesk:
    """What is needed to send a file in a session: where bytes are kept, and what its platform, named `label`, carries."""

    files: FileStore
    limits: OutboundLimits
    label: str


def file_desk(files: FileStore | None, can: Capabilities) -> FileDesk | None:
    """Return what sends files on a platform; None where there is no store."""
    return None if files is None else FileDesk(files, can.outbound, can.label)


class FileToolError(Exception):
    """The file cannot be sent; the message tells the model why."""


async def known_file(db: Database, account_id: UUID, session_id: UUID, desk: FileDesk, name: str) -> FilePart:
    """Return a file of the conversation, to be sent. Raises FileToolError."""
    async with db.account(account_id) as conn:
        found = await session_files.newest(conn, session_id, name)
    if found is None:
        raise FileToolError(f"This conversation has no stored file named {name!r}.")
    part = FilePart(
        type=cast("FileType", found.kind),
        upload_id=found.id,
        digest=found.digest,
        mime_type=found.mime_type,
        filename=found.filename,
        size_bytes=found.size_bytes,
    )
    return _fitting(desk, part)


async def written_file(
    db: Database, account_id: UUID, session_id: UUID, desk: FileDesk, *, name: str, content: str
) -> FilePart:
    """Keep a text as a file of the session, to be sent. Raises FileToolError, UnavailableError.

    A repeat leaves an upload that no message names, which goes after its time.
    """
    filename = clean_filename(name) or ""
    mime_type = TEXT_TYPES.get(filename.rpartition(".")[2].lower())
    if mime_type is None or "." not in filename:
        raise FileToolError(f"The name must end in one of: {', '.join(f'.{ending}' for ending in TEXT_TYPES)}.")
    written = storable(content).encode()
    try:
        async with desk.files.receive(_once(written), limit_bytes=len(written)) as received:
            part = FilePart(
                type="document",
                upload_id=uuid4(),
                digest=received.digest,
                mime_type=mime_type,
                filename=filename,
                size_bytes=received.size_bytes,
            )
            _fitting(desk, part)
            async with db.account(account_id) as conn:
                await garbage.spare(conn, received.digest)
            await desk.files.keep(account_id, received)
    except OSError as error:
        raise UnavailableError("The file store does not take files just now") from error
    upload = Upload(part.upload_id, part.filename, part.mime_type, part.size_bytes, part.digest)
    async with db.account(account_id) as conn:
        await uploads.add(conn, session_id, None, upload)
    return part


def _fitting(desk: FileDesk, part: FilePart) -> FilePart:
    try:
        carried(desk.limits, "", part, desk.label)
    except InvalidInputError as error:
        raise FileToolError(error.message) from error
    return part


async def _once(content: bytes) -> AsyncGenerator[bytes]:
    yield content
