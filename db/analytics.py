"""Figures, counted from our own tables: of one account, and for platform administrators of all; and alerts on them.

One statement does it (the SQL function `figures`): behind row-level security it counts one account, in `all_figures`, which
asks for the platform administrator's flag itself, all of them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.paging import fetch_page
from db.rows import mapping
from db.tables import analytics_alerts
from db.telling import acting_account, tell
from domain.errors import InvalidInputError
from domain.events.base import Event
from domain.events.people import AlertResolved, AlertTriggered, MetricsUpdate
from domain.people import AlertView, AnalyticsView, ChatMetricsView, CurrentMetricsView, to_cents

PERIOD_DAYS: Final = 30
_OWN: Final = text("SELECT f.*, now() AS at FROM figures(:days) f")
_ALL: Final = text("SELECT f.*, now() AS at FROM all_figures(:who, :days) f")
_ALERT_COLUMNS: Final = """
    a.id, a.name, a.alert_type, a.metric_name, a.condition, a.threshold_value, a.current_value, a.status,
    a.trigger_count, a.version
"""
_ALERTS: Final = text(
    f"""
    SELECT {_ALERT_COLUMNS}, count(*) OVER () AS total FROM analytics_alerts a
    ORDER BY a.name LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
)
WATCHABLE: Final = frozenset(ChatMetricsView.model_fields) | frozenset(CurrentMetricsView.model_fields)
"""The figures that an alert can watch."""


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _view(row: Row[Any], account_id: UUID | None, days: int) -> AnalyticsView:
    figures = dict(mapping(row))
    closed: int = figures["sessions_closed"]
    chat = {name: figures[name] for name in ChatMetricsView.model_fields if name in figures}
    chat["resolution_rate"] = _percent(figures["unaided"], closed) if closed else None
    if account_id is None:
        customers, churn = row.paying, _percent(row.cancelled, row.paying + row.cancelled)
    else:
        customers, churn = row.people_now, _percent(row.people_lost, row.people_before)
    money = CurrentMetricsView(
        mrr=to_cents(row.mrr), arr=to_cents(row.mrr * 12), active_customers=customers, churn_rate=churn
    )
    return AnalyticsView(
        account_id=account_id, period_days=days, current_metrics=money, chat=ChatMetricsView.model_validate(chat)
    )


async def read(conn: AsyncConnection, days: int = PERIOD_DAYS) -> AnalyticsView:
    """Return the entered account's figures of the last days."""
    return _view((await conn.execute(_OWN, {"days": days})).one(), await acting_account(conn), days)


async def read_all(conn: AsyncConnection, who: UUID, days: int = PERIOD_DAYS) -> AnalyticsView | None:
    """Return the figures of all accounts; None for whoever is no platform administrator."""
    row = (await conn.execute(_ALL, {"who": who, "days": days})).one_or_none()
    return None if row is None else _view(row, None, days)


async def watch(conn: AsyncConnection, name: str, metric_name: str, *, condition: str, threshold: Decimal) -> UUID:
    """Watch a figure; `condition`: `above` or `below`. Raises InvalidInputError for a figure that there is not."""
    if metric_name not in WATCHABLE:
        raise InvalidInputError(f"There is no figure {metric_name}")
    alert_id = uuid4()
    values = {
        "id": alert_id, "account_id": await acting_account(conn), "name": name, "metric_name": metric_name,
        "condition": condition, "threshold_value": threshold,
    }  # fmt: skip
    await conn.execute(insert(analytics_alerts).values(values))
    return alert_id


async def publish(conn: AsyncConnection, days: int = PERIOD_DAYS) -> list[Aggregate]:
    """Count the entered account's figures, tell them, and tell which alerts they raise or settle."""
    at = (await conn.execute(text("SELECT now() AS at"))).scalar_one()
    metrics = await read(conn, days)
    account_id = await acting_account(conn)
    version = int(at.timestamp() * 1_000_000)
    told = MetricsUpdate(account_id=account_id, metrics=metrics, timestamp=at)
    aggregates = [await tell(conn, Aggregate(account_id, f"analytics:{account_id}"), version, told)]
    values = metrics.chat.model_dump() | metrics.current_metrics.model_dump()
    for alert in (await conn.execute(select(analytics_alerts).with_for_update())).all():
        value = values[alert.metric_name]
        if value is None:
            continue
        view = await _weigh(conn, alert, Decimal(str(value)))
        if view is not None:
            kind = AlertTriggered if view.status == "triggered" else AlertResolved
            event: Event = kind(account_id=account_id, alert=view, timestamp=at)
            aggregates.append(await tell(conn, Aggregate(account_id, f"alert:{view.id}"), view.version, event))
    return aggregates


async def _weigh(conn: AsyncConnection, alert: Row[Any], value: Decimal) -> AlertView | None:
    """Keep an alert's figure; return its view when it was raised or settled by that."""
    beyond = value > alert.threshold_value if alert.condition == "above" else value < alert.threshold_value
    raised, settled = beyond and alert.status != "triggered", not beyond and alert.status == "triggered"
    status = "triggered" if raised else "resolved" if settled else alert.status
    changed = {
        "current_value": value, "status": status, "trigger_count": alert.trigger_count + int(raised),
        "version": alert.version + 1,
    }  # fmt: skip
    await conn.execute(update(analytics_alerts).where(analytics_alerts.c.id == alert.id).values(changed))
    row = (await conn.execute(select(analytics_alerts).where(analytics_alerts.c.id == alert.id))).one()
    return _alert_view(row) if raised or settled else None


def _alert_view(row: Row[Any]) -> AlertView:
    return AlertView.model_validate({name: mapping(row)[name] for name in AlertView.model_fields})


async def alerts(conn: AsyncConnection, *, limit: int, offset: int) -> tuple[list[AlertView], int]:
    """Return a page of the account's alerts, by name, and how many there are."""
    rows, total = await fetch_page(conn, _ALERTS, {}, limit=limit, offset=offset)
    return [_alert_view(row) for row in rows], total
