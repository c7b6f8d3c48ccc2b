"""The hub's place in the api: opened with the app, routed at `/cable` and `/events`, drained before the app goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from fastapi import FastAPI
from starlette.datastructures import State
from starlette.requests import HTTPConnection, Request
from starlette.routing import Route, WebSocketRoute

from api.revocation import Revocation
from api.services import Services
from api.socket import SocketDesk
from domain.errors import UnavailableError
from realtime.door import Door
from realtime.events import EventsApp
from realtime.hub import Hub
from realtime.server import CableApp
from realtime.tasks import cancel_all

DRAIN_S = 5.0


def hub_of(state: State) -> Hub | None:
    """Return the app's hub; None before it is opened."""
    return cast("Hub | None", getattr(state, "hub", None))


def live_hub(request: Request) -> Hub:
    """Return the app's hub. Raises UnavailableError before it is opened."""
    hub = hub_of(request.app.state)
    if hub is None:
        raise UnavailableError("The hub has not begun yet")
    return hub


@asynccontextmanager
async def open_hub(app: FastAPI, services: Services) -> AsyncGenerator[None]:
    """Start the hub and route `/cable` and `/events` to it; on the way out tell every socket to come back."""
    desk = SocketDesk(services)
    hub = Hub(services.redis, desk)
    door = Door(
        hub,
        desk.authenticate,
        services.settings.allowed_origins,
        lambda scope: services.client_ip(HTTPConnection(scope)),
    )
    app.router.routes += [
        WebSocketRoute("/cable", endpoint=CableApp(hub, door, desk)),
        Route("/events", endpoint=EventsApp(hub, door, desk)),
    ]
    app.state.hub, app.state.revocation = hub, Revocation(hub, services)
    await hub.start()
    looking = asyncio.create_task(app.state.revocation.run())
    try:
        yield
    finally:
        await cancel_all([looking])
        await hub.drain(DRAIN_S)
        await hub.stop()
