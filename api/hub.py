"""The hub's place in the api: opened with the app, routed at `/cable`, drained before the app goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute

from api.services import Services
from api.socket import SocketDesk
from realtime.hub import Hub
from realtime.server import CableApp

DRAIN_S = 5.0


@asynccontextmanager
async def open_hub(app: FastAPI, services: Services) -> AsyncGenerator[None]:
    """Start the hub and route `/cable` to it; on the way out tell every socket to come back."""
    desk = SocketDesk(services)
    hub = Hub(services.redis, desk)
    cable = CableApp(
        hub, desk.authenticate, desk, services.settings.allowed_origins,
        address_of=lambda scope: services.client_ip(HTTPConnection(scope)),
    )  # fmt: skip
    app.router.routes.append(WebSocketRoute("/cable", endpoint=cable))
    app.state.hub = hub
    await hub.start()
    try:
        yield
    finally:
        await hub.drain(DRAIN_S)
        await hub.stop()
