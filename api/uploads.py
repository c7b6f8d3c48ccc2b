"""Files that operators send: uploaded to a session first, named by a message then (`attachment_ids`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from activities.clamd import Clamd
from activities.files import CHUNK_BYTES, Received, TooLargeError
from activities.inspection import inspect
from adapters.base import Capabilities
from api.deps import Desk, Principal, allow
from api.envelope import done
from api.message_bodies import wrong
from api.openapi import shows
from api.services import Services
from db import garbage, session_views, uploads
from db.uploads import Upload
from domain.errors import FileRefusedError, PayloadTooLargeError
from domain.filenames import clean_filename, download_name
from domain.files import AttachmentType
from domain.permissions import Permission
from domain.views import View

router = APIRouter(prefix="/api/v1/chat", tags=["messages"])

UPLOAD_MAX_BYTES: Final = 100 << 20
_MEDIA: Final = frozenset({"image", "audio", "video"})
_FORM: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class UploadView(View):
    """A file that a message of this session may name by its id."""

    id: UUID
    filename: str
    mime_type: str
    file_size: int


@router.post(
    "/sessions/{session_id}/attachments",
    status_code=201,
    summary="Upload a file to be sent",
    responses=shows("Uploaded", 201, attachment=UploadView),
    openapi_extra=_FORM,
)
async def upload(
    session_id: UUID, request: Request, desk: Desk, caller: Annotated[Principal, allow(Permission.SESSIONS_REPLY)]
) -> dict[str, Any]:
    """A form with one `file`; nothing is sent yet. 413 for one that is larger than the session's platform takes; 422 for what
    would not be taken from a person either.
    """
    async with desk.db.account(caller.account_id) as conn:
        session = await session_views.get(conn, session_id)
    most = _most_bytes(desk.platforms.get(session.platform).capabilities)
    try:
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise wrong("file", "A form with one file is needed")
            async with desk.files.receive(_chunks(file), limit_bytes=most) as received:
                made = await _kept(desk, caller.account_id, file, received)
    except TooLargeError as error:
        raise PayloadTooLargeError(f"{session.platform} takes files of up to {most >> 20} MB") from error
    except FileRefusedError as error:
        raise wrong("file", f"The file is {error.message}") from error
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise wrong("file", "The form cannot be read") from error
    async with desk.db.account(caller.account_id) as conn:
        await uploads.add(conn, session_id, caller.user_id, made)
    view = UploadView(id=made.id, filename=made.filename, mime_type=made.mime_type, file_size=made.size_bytes)
    return done(attachment=view)


def _most_bytes(can: Capabilities) -> int:
    return min(UPLOAD_MAX_BYTES, max((limits.size for limits in can.outbound.files.values()), default=0))


async def _chunks(file: UploadFile) -> AsyncGenerator[bytes]:
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk


async def _kept(desk: Services, account_id: UUID, file: UploadFile, received: Received) -> Upload:
    """Look at a file as at one that a person sent, and keep it. Raises FileRefusedError, UnavailableError."""
    said = (file.content_type or "").partition(";")[0].strip().lower()
    kind = AttachmentType(said.partition("/")[0]) if said.partition("/")[0] in _MEDIA else AttachmentType.DOCUMENT
    found = await asyncio.to_thread(inspect, received.file, received.size_bytes, said=said or None, kind=kind)
    scanner = Clamd(desk.settings.clamd) if desk.settings.clamd else None
    malware = await scanner.malware(received.file) if scanner is not None else None
    if malware is not None:
        raise FileRefusedError(f"malware: {malware}")
    async with desk.db.account(account_id) as conn:
        await garbage.spare(conn, received.digest)
    kept = await desk.files.keep(account_id, received)
    name = download_name(clean_filename(file.filename), found.mime_type)
    return Upload(uuid4(), name, found.mime_type, kept.size_bytes, kept.digest)
