"""A cap on request bodies, before anything reads them: nobody, logged in or not, fills our memory.

Webhooks do not come this way and have their own cap, by platform; so have uploads, whose form may be a little larger than its file.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import refusal
from api.uploads import UPLOAD_MAX_BYTES

LIMIT_BYTES: Final = 1 << 20
UPLOAD_LIMIT_BYTES: Final = UPLOAD_MAX_BYTES + (64 << 10)
_UPLOAD: Final = re.compile(r"/api/v1/chat/sessions/[^/]+/attachments")


def _limit(path: str) -> int:
    return UPLOAD_LIMIT_BYTES if _UPLOAD.fullmatch(path) else LIMIT_BYTES


def _words(limit: int) -> str:
    return f"The body is larger than {limit} bytes"


class BodyLimit:
    """ASGI middleware. A body that announces its size is refused unread, any other as soon as it is too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = _limit(scope["path"])
        if _announced(scope) > limit:
            await refusal(413, "PAYLOAD_TOO_LARGE", _words(limit))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                # FastAPI turns any other error in a body into a 400.
                raise HTTPException(413, _words(limit))
            return message

        await self._app(scope, counted, send)


def _announced(scope: Scope) -> int:
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0
