"""MCP at `/mcp`: the official package's streamable HTTP, without sessions, so that any process answers any request.

Bearer access tokens and service tokens; each tool asks for its own permission. Pages that are not ours are refused by their
Origin, and names that are not ours by their Host: a page that has its own name rebound to us gets nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.deps import authenticate
from api.mcp import server
from api.mcp.tool import Call
from api.services import Services
from config import Settings
from domain.errors import AuthenticationError
from realtime.tasks import cancel_all

PATH: Final = "/mcp"
_HERE: Final = ("127.0.0.1", "localhost", "[::1]")


def security(settings: Settings) -> TransportSecuritySettings:
    """Return which names we answer to, and whose pages. `*` among the allowed origins does not hold here."""
    own = settings.base_url()
    names = [urlsplit(own).netloc, *_HERE]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[*names, *(f"{name}:*" for name in _HERE)],
        allowed_origins=[own, *(origin for origin in settings.allowed_origins if origin != "*")],
    )


class McpApp:
    """The ASGI app."""

    def __init__(self, manager: StreamableHTTPSessionManager, services: Services) -> None:
        self._manager = manager
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises AuthenticationError, which the app answers in its envelope."""
        scheme, _, token = Request(scope).headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthenticationError
        principal = await authenticate(self._services, token.strip())
        scope[server.CALL] = Call(self._services, principal)
        await self._manager.handle_request(scope, receive, send)


@asynccontextmanager
async def open_mcp(app: FastAPI, services: Services) -> AsyncGenerator[None]:
    """Route `/mcp`. The package's tasks live in one of their own, whoever opens and closes this."""
    manager = StreamableHTTPSessionManager(
        server.build(follows=False), json_response=True, stateless=True, security_settings=security(services.settings)
    )
    ready = asyncio.Event()

    async def live() -> None:
        async with manager.run():
            ready.set()
            await asyncio.Event().wait()

    living = asyncio.create_task(live())
    await ready.wait()
    app.router.routes.append(Route(PATH, endpoint=McpApp(manager, services)))
    try:
        yield
    finally:
        await cancel_all([living])
