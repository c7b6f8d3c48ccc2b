"""Is the process alive, can it accept a webhook, and how is everything else: three questions, three answers (ruling 16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import State

from api.deps import Desk
from api.hub import hub_of
from api.services import Services
from db import operations
from domain.errors import UnavailableError

router = APIRouter(tags=["health"])
TIMEOUT_S = 3.0


async def _answers(question: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await question
    except (UnavailableError, SQLAlchemyError, OSError, RuntimeError, TimeoutError):
        return False
    except Exception:  # noqa: BLE001 - whatever a part throws, it does not answer
        return False
    return True


async def _schema(desk: Services) -> None:
    async with desk.db.open() as conn:
        if not await operations.schema_is_current(conn):
            raise RuntimeError("the schema is not current")


async def _temporal(desk: Services) -> None:
    if not desk.temporal:
        raise RuntimeError("not connected")
    await desk.temporal[0].service_client.check_health()


async def _redis(desk: Services) -> None:
    await desk.redis.ping()  # pyright: ignore[reportGeneralTypeIssues, reportUnknownMemberType]


def _hears(state: State) -> bool:
    hub = hub_of(state)
    return hub is not None and hub.hearing


@router.get("/healthz", summary="Is the process alive")
async def alive() -> dict[str, Any]:
    """Always 200 while it answers at all."""
    return {"status": "ok"}


@router.get("/readyz", summary="Can this process accept a webhook")
async def ready(desk: Desk, response: Response) -> dict[str, Any]:
    """503 while Postgres is away, its schema is old, or the process drains. Temporal and Redis may be away: what
    arrives is stored, and leaves when they are back.
    """
    current = await _answers(_schema(desk))
    if desk.draining or not current:
        response.status_code = 503
    return {"status": "ready" if response.status_code != 503 else "not ready", "postgres": current}


@router.get("/api/v1/health", summary="How are all the parts")
async def health(desk: Desk, request: Request, response: Response) -> dict[str, Any]:
    """200 only when Postgres, Redis and Temporal answer, live events come through and a worker polls; `data.parts` says
    which does not. A hub that is deaf to Redis takes no new sockets meanwhile; webhooks do not mind.
    """
    postgres, redis, temporal = await asyncio.gather(
        _answers(_schema(desk)), _answers(_redis(desk)), _answers(_temporal(desk))
    )
    status = await operations.read(desk.db) if postgres else None
    parts: dict[str, object] = {
        "postgres": postgres,
        "redis": redis,
        "temporal": temporal,
        "hub": _hears(request.app.state),
        "worker": bool(status and status.workers),
    }
    well = all(parts.values()) and not desk.draining
    if not well:
        response.status_code = 503
    outbox = {"waiting": status.outbox_waiting, "oldest_age_s": round(status.outbox_age_s, 1)} if status else None
    return {"success": well, "data": {"status": "ok" if well else "degraded", "parts": parts, "outbox": outbox}}
