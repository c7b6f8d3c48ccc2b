"""The api process: builds the services, mounts the routers and the hub, refuses to start with an undeclared route.

Run by `powernode api`. It starts and accepts webhooks while Temporal or Redis is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from activities import logs
from api import (
    agents,
    auth,
    blacklists,
    channels,
    conversations,
    deps,
    errors,
    health,
    messages,
    operations,
    sessions,
    traces,
    webhooks,
)
from api.body_limit import BodyLimit
from api.envelope import ErrorEnvelope
from api.hub import open_hub
from api.services import Services, build
from config import Settings

DESCRIPTION = """
People write to an organisation on chat platforms, AI agents answer, operators watch and take over.

Every answer is `{success, data, meta?, message?}`; every refusal `{success: false, error, code, details?}`.
Authenticate with `Authorization: Bearer <access token>` from `POST /api/v1/auth/login`, or with a service token.
Live events come over `/cable` (protocol `actioncable-v1-json`).
"""
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope, "description": text}
    for status, text in {
        401: "No, or no valid, token",
        403: "A permission is missing; the message names it",
        404: "Nothing with this id in your account",
        409: "Somebody else changed it first",
        422: "The input does not fit; `details.errors` says where",
        503: "A part does not answer just now; try again",
    }.items()
}
ROUTERS = (
    health.router,
    webhooks.router,
    auth.router,
    channels.router,
    sessions.router,
    messages.router,
    blacklists.router,
    conversations.router,
    agents.router,
    traces.router,
    operations.router,
)


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncGenerator[None]:
    services: Services = app.state.services
    services.dispatcher.start()
    seeking = asyncio.create_task(services.connect_temporal())
    async with open_hub(app, services):
        yield
        services.draining = True
    seeking.cancel()
    await asyncio.gather(seeking, return_exceptions=True)
    await services.close()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the app. Raises SettingsError, RuntimeError for a route without a declared permission."""
    settings = settings or Settings.load()
    logs.configure(settings.log_level)
    app = FastAPI(title="Powernode", version="1.0.0", description=DESCRIPTION, lifespan=_life, redoc_url=None)
    app.state.services = build(settings)
    errors.install(app)
    app.add_middleware(BodyLimit)
    for router in ROUTERS:
        app.include_router(router, responses=REFUSALS)
    deps.check_routes(app, ROUTERS)
    return app
