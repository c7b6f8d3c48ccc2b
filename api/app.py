"""The api process: builds the services, mounts the routers and the hub, refuses to start with an undeclared route.

Run by `powernode api`. It starts and accepts webhooks while Temporal or Redis is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from activities import logs
from api import (
    agents,
    approvals,
    attachments,
    auth,
    blacklists,
    budgets,
    channels,
    conversations,
    deps,
    errors,
    health,
    messages,
    metrics,
    openapi,
    operations,
    realtime,
    sessions,
    traces,
    uploads,
    webhooks,
)
from api.body_limit import BodyLimit
from api.hub import open_hub
from api.mcp.http import open_mcp
from api.services import Services, build
from config import Settings

ROUTERS = (
    webhooks.router,  # looked at first: a platform waits
    health.router,
    metrics.router,
    auth.router,
    channels.router,
    sessions.router,
    messages.router,
    uploads.router,
    attachments.router,
    blacklists.router,
    conversations.router,
    agents.router,
    approvals.router,
    budgets.router,
    traces.router,
    operations.router,
    realtime.router,
)


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncGenerator[None]:
    services: Services = app.state.services
    services.dispatcher.start()
    seeking = asyncio.create_task(services.connect_temporal())
    async with open_hub(app, services), open_mcp(app, services):
        yield
        services.draining = True
    seeking.cancel()
    await asyncio.gather(seeking, return_exceptions=True)
    await services.close()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the app. Raises SettingsError, RuntimeError for a route without a declared permission."""
    settings = settings or Settings.load()
    logs.configure(settings.log_level)
    app = FastAPI(
        title="Powernode",
        version="1.0.0",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        generate_unique_id_function=openapi.operation_id,
        lifespan=_life,
        redoc_url=None,
    )
    app.state.services = build(settings)
    errors.install(app)
    app.add_middleware(BodyLimit)
    for router in ROUTERS:
        app.include_router(router)
    openapi.install(app)
    deps.check_routes(app, ROUTERS)
    return app
