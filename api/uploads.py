"""Files that operators send: uploaded to a session first, named by a message then (`attachment_ids`)."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from activities.files import CHUNK_BYTES, TooLargeError
from adapters.base import Capabilities
from api.deps import Desk, Principal, allow
from api.envelope import done
from api.message_bodies import wrong
from api.openapi import shows
from db import session_views, uploads
from db.uploads import Upload
from domain.errors import PayloadTooLargeError
from domain.filenames import clean_filename
from domain.permissions import Permission
from domain.views import View

router = APIRouter(prefix="/api/v1/chat", tags=["messages"])

UPLOAD_MAX_BYTES: Final = 100 << 20
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
    """A form with one `file`; nothing is sent yet. 413 for one that is larger than the session's platform takes."""
    async with desk.db.account(caller.account_id) as conn:
        session = await session_views.get(conn, session_id)
    most = _most_bytes(desk.platforms.get(session.platform).capabilities)
    try:
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise wrong("file", "A form with one file is needed")
            kept = await desk.files.put(caller.account_id, _chunks(file), limit_bytes=most)
            made = Upload(uuid4(), _name(file), _kind(file), kept.size_bytes, kept.digest)
    except TooLargeError as error:
        raise PayloadTooLargeError(f"{session.platform} takes files of up to {most >> 20} MB") from error
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise wrong("file", "The form cannot be read") from error
    if not made.size_bytes:
        raise wrong("file", "The file is empty")
    async with desk.db.account(caller.account_id) as conn:
        await uploads.add(conn, session_id, caller.user_id, made)
    view = UploadView(id=made.id, filename=made.filename, mime_type=made.mime_type, file_size=made.size_bytes)
    return done(attachment=view)


def _most_bytes(can: Capabilities) -> int:
    return min(UPLOAD_MAX_BYTES, max((limits.size for limits in can.outbound.files.values()), default=0))


async def _chunks(file: UploadFile) -> AsyncGenerator[bytes]:
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk


def _name(file: UploadFile) -> str:
    """Return a name without a path: browsers of old, and others who wish us ill, send one."""
    return clean_filename(file.filename) or "file"


def _kind(file: UploadFile) -> str:
    given = (file.content_type or "").strip().lower()
    if given and given != "application/octet-stream" and given.isascii() and given.isprintable() and "/" in given:
        return given[:100]
    return mimetypes.guess_type(_name(file))[0] or "application/octet-stream"
