"""A person's own notifications: list, show, mark as read, put away."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from api.sessions import caller_id
from db import notifications
from domain.people import NotificationView
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/notifications", tags=["notifications"])

Reader = Annotated[Principal, allow(Permission.NOTIFICATIONS_READ)]
Page = Annotated[PageQuery, Depends()]
SHOWN = shows("Notification", notification=NotificationView)


@router.get("", summary="List my notifications", responses=listed("Notifications", NotificationView))
async def listing(
    desk: Desk, caller: Reader, query: Page, unread: bool = False, dismissed: bool = False
) -> dict[str, Any]:
    """The latest first, without what has expired. `unread`: these alone; `dismissed`: also what was put away."""
    user_id = caller_id(caller)
    async with desk.db.account(caller.account_id) as conn:
        items, total = await notifications.listing(
            conn, user_id, only_unread=unread, with_dismissed=dismissed, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get("/{notification_id}", summary="Show a notification", responses=SHOWN)
async def show(notification_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """One of the caller's own; a colleague's is not found."""
    async with desk.db.account(caller.account_id) as conn:
        return done(notification=await notifications.get(conn, caller_id(caller), notification_id))


@router.patch("/{notification_id}/read", summary="Mark as read", responses=SHOWN)
async def read(notification_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """Repeating it changes nothing."""
    async with desk.db.account(caller.account_id) as conn:
        view, aggregate = await notifications.mark_read(conn, caller_id(caller), notification_id)
    if aggregate is not None:
        desk.dispatcher.notify(aggregate)
    return done(notification=view)


@router.patch("/{notification_id}/dismiss", summary="Put away", responses=SHOWN)
async def dismiss(notification_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """Repeating it changes nothing."""
    async with desk.db.account(caller.account_id) as conn:
        view, aggregate = await notifications.dismiss(conn, caller_id(caller), notification_id)
    if aggregate is not None:
        desk.dispatcher.notify(aggregate)
    return done(notification=view)
