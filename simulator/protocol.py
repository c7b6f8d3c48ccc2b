"""Closing a connection without an answer, which ASGI has no word for.

A uvicorn protocol that offers its transport's abort to the application as an ASGI extension. Used by server.py; called
through `Dropped`, the response that is none.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION: Final = "simulator.transport"


class AbortableProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it; the scope carries the transport."""

    def on_message_begin(self) -> None:
        """Begin a request; adds the extension."""
        super().on_message_begin()
        scope = cast("Scope", self.scope)
        scope["extensions"] = {_EXTENSION: self.transport}


async def drop_connection(scope: Scope) -> None:
    """Close the request's connection at once, then let the server notice."""
    transport = cast("asyncio.Transport", scope["extensions"][_EXTENSION])
    transport.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


class Dropped(Response):
    """No answer: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Drop instead of answering."""
        await drop_connection(scope)
