"""The way in for webhooks: an ASGI middleware before the app's routes, for a platform waits for the answer.

At the rate at which webhooks come all code is read from memory anew, so that every layer between the socket and the store
costs a tenth of what storing costs (ADR 9). The routes of webhooks.py describe what is answered here.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.base import WebhookReply, WebhookRequest
from api import errors
from api.raw import all_headers, read_body
from api.services import Services
from api.webhooks import PREFIX
from domain.errors import NotFoundError, PowernodeError, SignatureError

LARGEST_BODY: Final = 4 << 20
"""No platform's cap is higher; what is larger is refused before it is read to its end."""

_METHODS: Final = frozenset({"GET", "POST"})


class WebhookDoor:
    """Answers GET and POST of `/api/v1/chat/webhooks/{token}`; everything else is the app's."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX) or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        try:
            reply, trace_id = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        except (PowernodeError, DBAPIError) as error:
            await errors.answer(error, PREFIX)(scope, receive, send)
        else:
            await _send(send, reply, trace_id)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[WebhookReply, str]:
        headers = all_headers(scope["headers"])
        request = WebhookRequest(
            scope["method"], headers, _query(scope), await read_body(headers, receive, LARGEST_BODY)
        )
        try:
            return await self._services.webhooks.receive(scope["path"].removeprefix(PREFIX), request)
        except (NotFoundError, SignatureError) as error:
            # Only what failed is ever limited: platforms send from few addresses (ruling 15).
            await self._services.webhooks.failures.refused(self._services.client_ip(HTTPConnection(scope)), error)
            raise


def _query(scope: Scope) -> dict[str, str]:
    text: bytes = scope["query_string"]
    return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True)) if text else {}


async def _send(send: Send, reply: WebhookReply, trace_id: str) -> None:
    charset = b"; charset=utf-8" if reply.content_type.startswith("text/") else b""
    headers = [
        (b"content-type", reply.content_type.encode("latin-1") + charset),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-trace-id", trace_id.encode()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
