"""An account's dashboard and alerts: told to who watches it, in one order.

The counter's row is locked until the commit, so that the numbers of one telling include all of the ones before. Who changes
several runs in a transaction tells the dashboard last, once.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import run_shelves
from db.outbox import Aggregate
from db.watched import tell
from domain.events.runs import (
    ActiveExecutions,
    AlertPayload,
    CostAlert,
    DashboardStats,
    MetricsPayload,
    MonitoringAlertTriggered,
    MonitoringMetricsUpdated,
    SystemAlert,
)
from domain.loop_views import AlertView

_BUMP: Final = text(
    """
    INSERT INTO ai_dashboards AS d (account_id) VALUES (app_account())
    ON CONFLICT (account_id) DO UPDATE SET version = d.version + 1 RETURNING version, now() AS at
    """
)


def aggregate_of(account_id: UUID) -> Aggregate:
    """Return a dashboard's aggregate; its version is `ai_dashboards.version`."""
    return Aggregate(account_id, f"dashboard:{account_id}")


async def refresh(conn: AsyncConnection, account_id: UUID) -> Aggregate:
    """Tell the numbers and the active runs as the caller's transaction leaves them."""
    row = (await conn.execute(_BUMP)).one()
    stats = await run_shelves.dashboard(conn)
    runs = await run_shelves.active(conn)
    events = [
        DashboardStats(account_id=account_id, timestamp=row.at, stats=stats),
        ActiveExecutions(account_id=account_id, timestamp=row.at, executions=runs, version=row.version),
        MonitoringMetricsUpdated(
            account_id=account_id,
            timestamp=row.at,
            resource_id=str(account_id),
            payload=MetricsPayload(stats=stats),
        ),
    ]
    return await tell(conn, aggregate_of(account_id), row.version, events)


async def alert(conn: AsyncConnection, account_id: UUID, found: AlertView, *, cost: bool = False) -> Aggregate:
    """Tell an alert, of the system or of costs, to who watches this account and nobody else."""
    row = (await conn.execute(_BUMP)).one()
    plain = (
        CostAlert(account_id=account_id, timestamp=row.at, cost_data=found)
        if cost
        else SystemAlert(account_id=account_id, timestamp=row.at, alert=found)
    )
    enveloped = MonitoringAlertTriggered(
        account_id=account_id, timestamp=row.at, resource_id=str(account_id), payload=AlertPayload(alert=found)
    )
    return await tell(conn, aggregate_of(account_id), row.version, [plain, enveloped])
