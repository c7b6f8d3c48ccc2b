"""Missions: list, show. What they do is shown live by MissionChannel."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from db import missions
from domain.missions import MissionDetailsView, MissionStatus, MissionType, MissionView
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/ai/missions", tags=["missions"])

Reader = Annotated[Principal, allow(Permission.MISSIONS_READ)]
Page = Annotated[PageQuery, Depends()]


@router.get("", summary="List missions", responses=listed("Missions", MissionView))
async def listing(
    desk: Desk,
    caller: Reader,
    query: Page,
    status: MissionStatus | None = None,
    mission_type: MissionType | None = None,
) -> dict[str, Any]:
    """The newest first."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await missions.listing(
            conn, status=status, mission_type=mission_type, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get("/{mission_id}", summary="Show a mission", responses=shows("Mission", mission=MissionDetailsView))
async def show(mission_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """With its phases, what came of them, and what people said at its gates."""
    async with desk.db.account(caller.account_id) as conn:
        return done(mission=await missions.get(conn, mission_id))
