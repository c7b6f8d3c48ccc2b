"""An account's subscription to a plan. Plans are made by the owner of the tables; processes only read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.rows import mapping
from db.tables import plans
from db.telling import tell
from domain.errors import NotFoundError
from domain.events.people import SubscriptionUpdated
from domain.people import PlanInterval, PlanView, SubscriptionStatus, SubscriptionView

_FIND: Final = text(
    """
    SELECT s.id, s.status, s.current_period_start, s.current_period_end, s.trial_ends_at, s.canceled_at, s.ends_at,
        s.created_at, s.updated_at, s.version, s.account_id, now() AS at, p.id AS plan_id, p.name, p.price, p.interval,
        p.features, p.currency
    FROM account_subscriptions s JOIN plans p ON p.id = s.plan_id
    """
).columns(features=JSONB)
_PLAN: Final = text("SELECT 1 FROM plans WHERE id = :id AND is_active")
_PUT: Final = text(
    """
    INSERT INTO account_subscriptions AS s (id, account_id, plan_id, status, current_period_start, current_period_end,
        trial_ends_at, canceled_at, ends_at)
    VALUES (:id, app_account(), :plan_id, :status, :current_period_start, :current_period_end, :trial_ends_at,
        CASE WHEN :status = 'canceled' THEN now() END, :ends_at)
    ON CONFLICT (account_id) DO UPDATE SET plan_id = excluded.plan_id, status = excluded.status,
        current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
        trial_ends_at = excluded.trial_ends_at, ends_at = excluded.ends_at, updated_at = now(), version = s.version + 1,
        canceled_at = CASE WHEN excluded.status = 'canceled' THEN COALESCE(s.canceled_at, excluded.canceled_at) END
    """
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an account has subscribed to, and until when. Times know their zone."""

    plan_id: UUID
    status: SubscriptionStatus
    current_period_start: datetime
    current_period_end: datetime
    trial_ends_at: datetime | None = None
    ends_at: datetime | None = None


async def create_plan(
    conn: AsyncConnection, name: str, price: str, *, interval: PlanInterval = PlanInterval.MONTH, features: list[str]
) -> UUID:
    """Offer a plan; as the owner of the tables. `price`: in USD, decimal text."""
    plan_id = uuid4()
    values = {"id": plan_id, "name": name, "price": price, "interval": interval.value, "features": features}
    await conn.execute(insert(plans).values(values))
    return plan_id


async def find(conn: AsyncConnection) -> SubscriptionView | None:
    """Return the entered account's subscription; None where it has none."""
    row = (await conn.execute(_FIND)).one_or_none()
    return None if row is None else _view(row)


async def put(conn: AsyncConnection, terms: Terms) -> tuple[SubscriptionView, Aggregate]:
    """Set the entered account's subscription, and tell who watches it. Raises NotFoundError for no such plan."""
    if (await conn.execute(_PLAN, {"id": terms.plan_id})).one_or_none() is None:
        raise NotFoundError("No such plan")
    values = {name: getattr(terms, name) for name in Terms.__dataclass_fields__}
    await conn.execute(_PUT, {**values, "id": uuid4(), "status": terms.status.value})
    row = (await conn.execute(_FIND)).one()
    event = SubscriptionUpdated(account_id=row.account_id, subscription=_view(row), timestamp=row.at)
    return _view(row), await tell(conn, Aggregate(row.account_id, f"subscription:{row.id}"), row.version, event)


def _view(row: Row[Any]) -> SubscriptionView:
    values = {name: value for name, value in mapping(row).items() if name in SubscriptionView.model_fields}
    plan = PlanView(
        id=row.plan_id, name=row.name, price=row.price, interval=row.interval, features=row.features,
        currency=row.currency,
    )  # fmt: skip
    return SubscriptionView.model_validate({**values, "plan": plan})
