"""Figures of the account, counted from its own rows when they are asked for; the alerts on them; what it pays."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from db import analytics, subscriptions
from domain.people import AlertView, AnalyticsView, SubscriptionView
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1", tags=["analytics"])

Viewer = Annotated[Principal, allow(Permission.ANALYTICS_VIEW)]
Payer = Annotated[Principal, allow(Permission.SUBSCRIPTIONS_READ)]
Page = Annotated[PageQuery, Depends()]


@router.get("/analytics", summary="Show figures", responses=shows("Analytics", analytics=AnalyticsView))
async def figures(
    desk: Desk, caller: Viewer, days: Annotated[int, Query(ge=1, le=366)] = analytics.PERIOD_DAYS
) -> dict[str, Any]:
    """Of the last `days`."""
    async with desk.db.account(caller.account_id) as conn:
        return done(analytics=await analytics.read(conn, days))


@router.get("/analytics/alerts", summary="List alerts", responses=listed("Alerts", AlertView))
async def alerts(desk: Desk, caller: Viewer, query: Page) -> dict[str, Any]:
    """By name."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await analytics.alerts(conn, limit=query.per_page, offset=query.offset)
    return page(items, total, query)


@router.get(
    "/billing/subscription",
    summary="Show the subscription",
    responses=shows("Subscription", subscription=SubscriptionView | None),
)
async def subscription(desk: Desk, caller: Payer) -> dict[str, Any]:
    """Null where the account has none."""
    async with desk.db.account(caller.account_id) as conn:
        return done(subscription=await subscriptions.find(conn))
