"""Who may not write to us: list, block, lift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from api.sessions import caller_id
from db import blacklists
from db.blacklists import Block
from domain.errors import InvalidInputError
from domain.permissions import Permission
from domain.sanitize import storable
from domain.views import BlacklistView

router = APIRouter(prefix="/api/v1/chat/blacklists", tags=["blacklists"])

Reader = Annotated[Principal, allow(Permission.SESSIONS_READ)]
Manager = Annotated[Principal, allow(Permission.SESSIONS_MANAGE)]


class BlockBody(BaseModel):
    """Whom to block, by the platform's id of the person. Without a channel in the whole account, without a duration
    for good.
    """

    model_config = ConfigDict(extra="forbid")
    platform_user_id: str = Field(min_length=1, max_length=255)
    channel_id: UUID | None = None
    duration_s: int | None = Field(None, ge=1, le=10 * 366 * 24 * 3600)
    reason: str | None = Field(None, max_length=500)


@router.get("", summary="List who is blocked", responses=listed("Blacklists", BlacklistView))
async def listing(
    *,
    desk: Desk,
    caller: Reader,
    query: Annotated[PageQuery, Depends()],
    channel_id: UUID | None = None,
    platform_user_id: str | None = None,
    active: bool = False,
) -> dict[str, Any]:
    """Newest first. `active`: without those whose time is over."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await blacklists.listing(
            conn, channel_id=channel_id, user=platform_user_id, active=active, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.post(
    "", status_code=201, summary="Block a person", responses=shows("Blacklisted", 201, blacklist=BlacklistView)
)
async def add(body: BlockBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """What they write is kept and not answered. For good: their open sessions are blocked and what waits for them is
    not sent. For a while: sessions stay, and go on when the time is over. A repeat renews; 409 when they are blocked
    for good already and a duration is given.
    """
    person = storable(body.platform_user_id).strip()
    if not person:
        raise InvalidInputError("platform_user_id: must not be blank")
    ends = None if body.duration_s is None else datetime.now(UTC) + timedelta(seconds=body.duration_s)
    reason = None if body.reason is None else storable(body.reason)
    block = Block(person, body.channel_id, caller_id(caller), ends, reason)
    async with desk.db.account(caller.account_id) as conn:
        view, aggregates = await blacklists.add(conn, block)
    for aggregate in aggregates:
        desk.dispatcher.notify(aggregate)
    return done(blacklist=view)


@router.delete("/{blacklist_id}", summary="Lift a block", responses=shows("BlacklistDeleted"))
async def remove(blacklist_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Sessions that it had ended are active again, unless another block holds them."""
    async with desk.db.account(caller.account_id) as conn:
        aggregates = await blacklists.remove(conn, blacklist_id, caller_id(caller))
    for aggregate in aggregates:
        desk.dispatcher.notify(aggregate)
    return done("Block lifted")
