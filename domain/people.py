"""What people of an account get beside their chats: notifications, the account's subscription, customers and figures."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.file_views import View


class Severity(StrEnum):
    """How much a notification matters."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class AccountStatus(StrEnum):
    """Whether people and services of an account get in: only where it is `active`. Webhooks are taken all the same."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"


class PlanInterval(StrEnum):
    """How often a plan's price is paid."""

    MONTH = "month"
    YEAR = "year"


class SubscriptionStatus(StrEnum):
    """How an account's subscription stands."""

    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELED = "canceled"
    UNPAID = "unpaid"


PAYING: Final = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)
"""The statuses whose price counts as revenue."""


def to_cents(amount: Decimal) -> float:
    """Round money for readers; sums are made before, so that twelve months of a year's price are that price."""
    return float(round(amount, 2))


class NotificationView(View):
    """Something that one person is told. `read` says what `read_at` says, for clients that want no time."""

    id: UUID
    notification_type: str
    title: str
    message: str
    severity: str
    category: str
    action_url: str | None
    action_label: str | None
    icon: str | None
    metadata: dict[str, object]
    read: bool
    read_at: datetime | None
    dismissed_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    version: int


class PlanView(View):
    """What an account can subscribe to. `price`: in `currency`, for one `interval`."""

    id: UUID
    name: str
    price: float
    interval: str
    features: list[str]
    currency: str


class SubscriptionView(View):
    """An account's subscription; an account has one at most."""

    id: UUID
    status: str
    current_period_start: datetime
    current_period_end: datetime
    trial_ends_at: datetime | None
    canceled_at: datetime | None
    ends_at: datetime | None
    created_at: datetime
    updated_at: datetime
    plan: PlanView
    version: int


class CustomerPlanView(View):
    """Which plan a customer has."""

    plan: str
    status: str


class CustomerView(View):
    """A customer of this installation: an account. `user`: the address of its first owner. `mrr`: revenue a month."""

    id: UUID
    name: str
    subdomain: str
    status: str
    user: str | None
    subscription: CustomerPlanView | None
    mrr: float
    total_users: int
    created_at: datetime
    updated_at: datetime
    version: int


class CurrentMetricsView(View):
    """Revenue and customers. `mrr`, `arr`: of subscriptions that are paid for, a month and a year.

    One account: what it pays; `active_customers` are the people who wrote to it in the period, and `churn_rate` is the
    percentage of those of the period before who no longer did. All accounts: what all pay; `active_customers` are the
    accounts with such a subscription, and `churn_rate` is the percentage of them that was cancelled in the period.
    """

    mrr: float
    arr: float
    active_customers: int
    churn_rate: float


class ChatMetricsView(View):
    """What went on in chats in the period. Answer times: seconds from a person's word to the reply, null without any.

    `resolution_rate`: percent of the sessions closed that no person had to take over.
    """

    sessions_total: int
    sessions_opened: int
    sessions_active: int
    sessions_closed: int
    messages_inbound: int
    messages_outbound: int
    answer_time_median_s: float | None
    answer_time_p95_s: float | None
    resolution_rate: float | None
    input_tokens: int
    output_tokens: int
    cost_usd: float


class AnalyticsView(View):
    """Figures of one account (`account_id`) or of all, over the last `period_days`, counted from our own tables."""

    account_id: UUID | None
    period_days: int
    current_metrics: CurrentMetricsView
    chat: ChatMetricsView


class AlertView(View):
    """A watched figure. `condition`: `above` or `below` the threshold; `status`: `active`, `triggered` or `resolved`."""

    id: UUID
    name: str
    alert_type: str
    metric_name: str
    condition: str
    threshold_value: float
    current_value: float | None
    status: str
    trigger_count: int
    version: int
