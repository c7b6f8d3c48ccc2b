"""What waits and what needs a person, in one look at the own account."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter

from api.deps import Desk, Principal, allow
from api.envelope import done
from api.openapi import shows
from db import heartbeats, operations
from domain.permissions import Permission
from domain.views import View

router = APIRouter(prefix="/api/v1/operations", tags=["operations"])


class OutboxView(View):
    """What is decided and not yet told; the oldest one's age in seconds."""

    waiting: int
    oldest_age_s: float


@router.get(
    "",
    summary="See what waits and what needs a person",
    responses=shows("Operations", outbox=OutboxView, deferred=int, dead=int, unknown=int, quarantined=int, workers=int),
)
async def overview(desk: Desk, caller: Annotated[Principal, allow(Permission.OPERATIONS_READ)]) -> dict[str, Any]:
    """`outbox`: decided, not yet told to Temporal and Redis. `deferred`: messages over their channel's rate. `dead` and
    `unknown`: parts to be looked at (`/chat/troubled`). `quarantined`: webhooks set aside (`/chat/quarantined`).
    """
    async with desk.db.account(caller.account_id) as conn:
        standing = await operations.standing(conn)
        workers = await heartbeats.live_queues(conn)
    return done(
        outbox=OutboxView(waiting=standing.outbox_waiting, oldest_age_s=round(standing.outbox_age_s, 1)),
        deferred=standing.deferred,
        dead=standing.dead,
        unknown=standing.unknown,
        quarantined=standing.quarantined,
        workers=len(workers),
    )
