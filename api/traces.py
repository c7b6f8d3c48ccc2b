"""One message's story, from the webhook to the receipt, under one id."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from api.deps import Desk, Principal, allow
from api.envelope import done
from api.openapi import shows
from db import traces
from domain.permissions import Permission
from domain.views import TraceView

router = APIRouter(prefix="/api/v1/traces", tags=["operations"])


@router.get("/{trace_id}", summary="Tell a message's story", responses=shows("Trace", trace=TraceView))
async def tell(
    trace_id: Annotated[str, Path(max_length=64)],
    desk: Desk,
    caller: Annotated[Principal, allow(Permission.SESSIONS_READ)],
) -> dict[str, Any]:
    """The webhook and its items, the messages with their parts and attempts, the turns with their steps, and what still
    waits to be told. The id is in every message, in `X-Trace-Id` of a webhook's answer, in logs and in Temporal.
    """
    async with desk.db.account(caller.account_id) as conn:
        return done(trace=await traces.find(conn, trace_id))
