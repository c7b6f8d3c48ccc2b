"""Events for people of an account: notifications, the account's subscription, customers, figures."""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

from pydantic import Field

from domain.events.base import Event
from domain.people import AlertView, AnalyticsView, CustomerView, NotificationView, SubscriptionView

ALL_ANALYTICS: Final = "analytics_global"
ALL_CUSTOMERS: Final = "customer_updates_global"


def notifications_stream(account_id: UUID | str, user_id: UUID | str) -> str:
    """Return the stream of one person's notifications in one account."""
    return f"notifications:{account_id}:{user_id}"


def subscription_stream(account_id: UUID | str) -> str:
    """Return the stream of an account's subscription."""
    return f"account_subscription_{account_id}"


def customer_stream(account_id: UUID | str) -> str:
    """Return the stream of an account as a customer."""
    return f"customer_updates_{account_id}"


def analytics_stream(account_id: UUID | str) -> str:
    """Return the stream of an account's figures."""
    return f"analytics_account_{account_id}"


class _NotificationEvent(Event):
    account_id: UUID = Field(exclude=True)
    user_id: UUID = Field(exclude=True)
    notification: NotificationView

    def streams(self) -> list[str]:
        return [notifications_stream(self.account_id, self.user_id)]


class NewNotification(_NotificationEvent):
    """A person is told something."""

    type: Literal["new_notification"] = "new_notification"


class NotificationRead(_NotificationEvent):
    """A person has read a notification."""

    type: Literal["notification_read"] = "notification_read"
    notification_id: UUID


class NotificationDismissed(_NotificationEvent):
    """A person has put a notification away."""

    type: Literal["notification_dismissed"] = "notification_dismissed"
    notification_id: UUID


class SubscriptionUpdated(Event):
    """An account's subscription began, changed or ended."""

    type: Literal["subscription_updated"] = "subscription_updated"
    account_id: UUID
    subscription: SubscriptionView | None

    def streams(self) -> list[str]:
        return [subscription_stream(self.account_id)]


class CustomerUpdated(Event):
    """A customer's status changed."""

    type: Literal["customer_updated"] = "customer_updated"
    event: Literal["status_changed"] = "status_changed"
    customer: CustomerView

    def streams(self) -> list[str]:
        return [customer_stream(self.customer.id), ALL_CUSTOMERS]


class MetricsUpdate(Event):
    """An account's figures were counted anew."""

    type: Literal["metrics_update"] = "metrics_update"
    account_id: UUID
    metrics: AnalyticsView

    def streams(self) -> list[str]:
        return [analytics_stream(self.account_id)]


class _AlertEvent(Event):
    account_id: UUID
    alert: AlertView

    def streams(self) -> list[str]:
        return [analytics_stream(self.account_id)]


class AlertTriggered(_AlertEvent):
    """A watched figure went past its threshold."""

    type: Literal["alert_triggered"] = "alert_triggered"


class AlertResolved(_AlertEvent):
    """A watched figure came back within its threshold."""

    type: Literal["alert_resolved"] = "alert_resolved"


EVENTS: Final[tuple[type[Event], ...]] = (
    NewNotification,
    NotificationRead,
    NotificationDismissed,
    SubscriptionUpdated,
    CustomerUpdated,
    MetricsUpdate,
    AlertTriggered,
    AlertResolved,
)
