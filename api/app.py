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
    analytics,
    approvals,
    attachments,
    auth,
    blacklists,
    budgets,
    channels,
    code_factory,
    conversations,
    deps,
    devops,
    errors,
    events,
    git_repositories,
    git_webhooks,
    health,
    messages,
    metrics,
    missions,
    notifications,
    openapi,
    operations,
    realtime,
    runs,
    service_tokens,
    sessions,
    teams,
    traces,
    uploads,
    webhooks,
)
from api.body_limit import BodyLimit
from api.hub import open_hub
from api.mcp.http import open_mcp
from api.services import Services, build
from api.webhook_door import WebhookDoor
from config import Settings

ROUTERS = (
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
    missions.router,
    teams.router,
    notifications.router,
    analytics.router,
    runs.router,
    traces.router,
    operations.router,
    realtime.router,
    webhooks.router,
    git_webhooks.router,
    git_repositories.router,
    devops.router,
    code_factory.router,
    events.router,
    service_tokens.router,
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
    app.add_middleware(WebhookDoor, services=app.state.services)
    for router in ROUTERS:
        app.include_router(router)
    openapi.install(app)
    deps.check_routes(app, ROUTERS)
    return app
