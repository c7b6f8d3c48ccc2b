"""AI agents: which there are, so that a channel can be given one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter

from api.deps import Desk, Principal, allow
from api.envelope import done
from api.openapi import shows
from db import agents
from domain.permissions import Permission
from domain.views import AgentView

router = APIRouter(prefix="/api/v1/ai/agents", tags=["agents"])


@router.get("", summary="List agents", responses=shows("Agents", items=list[AgentView]))
async def listing(desk: Desk, caller: Annotated[Principal, allow(Permission.CONVERSATIONS_READ)]) -> dict[str, Any]:
    """All agents of the account, by name; `id` is what a channel's `default_agent_id` takes."""
    async with desk.db.account(caller.account_id) as conn:
        return done(items=await agents.listing(conn))
