"""Files of messages: their details with a link, and the download itself.

A file is only ever saved by a browser, never shown or run on our origin: whatever it is, it comes as an attachment, with
its own type, and into a sandbox.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from activities.files import NoSuchFileError
from api.deps import Desk, Principal, allow
from api.envelope import done
from api.links import Link
from api.openapi import shows
from db import attachments
from domain.errors import NotFoundError, UnavailableError
from domain.file_views import AttachmentDetailsView
from domain.filenames import content_disposition, download_name
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/chat", tags=["messages"])

Reader = Annotated[Principal, allow(Permission.SESSIONS_READ)]
_GUARDED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
_NOT_THERE: Final = "No such file, or it is not safe to hand out"


@router.get(
    "/sessions/{session_id}/messages/{message_id}/attachments/{attachment_id}",
    summary="Show a message's file",
    responses=shows("Attachment", attachment=AttachmentDetailsView),
)
async def show_attachment(
    session_id: UUID, message_id: UUID, attachment_id: UUID, desk: Desk, caller: Reader
) -> dict[str, Any]:
    """In full; where it is safe, with a link that is good for five minutes."""
    async with desk.db.account(caller.account_id) as conn:
        found = await attachments.details(conn, attachment_id, message_id=message_id, session_id=session_id)
    view = found.view
    if view.safe:
        link = desk.links.make(caller.account_id, attachment_id)
        url = f"{desk.settings.base_url()}/api/v1/chat/attachments/{attachment_id}/download?{link.query()}"
        view = view.model_copy(update={"download_url": url, "download_expires_at": link.expires_at})
    return done(attachment=view)


@router.get(
    "/attachments/{attachment_id}/download",
    summary="Download a file by its signed link",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def download(
    attachment_id: UUID,
    desk: Desk,
    account_id: UUID,
    expires: Annotated[int, Query(ge=0, le=1 << 40)],
    signature: Annotated[str, Query(min_length=64, max_length=64, pattern="^[0-9a-f]{64}$")],
) -> StreamingResponse:
    """The bytes, to be saved. Needs no token: the link is the proof."""
    desk.links.check(Link(account_id, attachment_id, expires, signature))
    async with desk.db.account(account_id) as conn:
        found = await attachments.details(conn, attachment_id)
    view = found.view
    if not view.safe or found.content_hash is None:
        raise NotFoundError(_NOT_THERE)
    try:
        chunks = await desk.files.open(account_id, found.content_hash)
    except NoSuchFileError as error:
        raise NotFoundError(_NOT_THERE) from error
    except OSError as error:
        raise UnavailableError("The file store does not answer; try again shortly") from error
    headers = {
        **_GUARDED,
        "Content-Disposition": content_disposition(download_name(view.filename, view.mime_type)),
        "Content-Length": str(view.file_size),
    }
    return StreamingResponse(chunks, 200, headers, view.mime_type)
