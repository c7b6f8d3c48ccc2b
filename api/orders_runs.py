"""What the orders about workflows do: in the person's account, told to whoever watches it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from api.services import Services
from db import run_shelves, workflow_runs, workflows
from db.watched import Told
from db.workflow_runs import NewRun
from db.workflows import NewWorkflow
from domain.run_views import ActiveExecutionView, DashboardStatsView, WorkflowDetailView, WorkflowRunView
from domain.views import View
from realtime.commands import Order
from realtime.identity import Identity
from realtime.run_orders import (
    CreateWorkflow,
    ExecuteWorkflow,
    GetActiveExecutions,
    GetDashboardStats,
    UpdateWorkflow,
)

V = TypeVar("V", bound=View)


def _told(services: Services, told: Told[V]) -> V:
    for aggregate in told.aggregates:
        services.dispatcher.notify(aggregate)
    return told.view


async def _stats(services: Services, identity: Identity, _order: GetDashboardStats) -> DashboardStatsView:
    async with services.db.account(identity.account_id) as conn:
        return await run_shelves.dashboard(conn)


async def _active(services: Services, identity: Identity, order: GetActiveExecutions) -> list[ActiveExecutionView]:
    async with services.db.account(identity.account_id) as conn:
        return await run_shelves.active(conn, order.workflow_id)


async def _create(services: Services, identity: Identity, order: CreateWorkflow) -> WorkflowDetailView:
    new = NewWorkflow(order.fields, order.nodes, order.edges, identity.user_id)
    async with services.db.account(identity.account_id) as conn:
        told = await workflows.create(conn, identity.account_id, new)
    return _told(services, told)


async def _update(services: Services, identity: Identity, order: UpdateWorkflow) -> WorkflowDetailView:
    async with services.db.account(identity.account_id) as conn:
        told = await workflows.change(conn, identity.account_id, order.workflow_id, order.updates, identity.user_id)
    return _told(services, told)


async def _execute(services: Services, identity: Identity, order: ExecuteWorkflow) -> WorkflowRunView:
    new = NewRun(order.workflow_id, input_variables=order.input_variables, triggered_by=identity.user_id)
    async with services.db.account(identity.account_id) as conn:
        told = await workflow_runs.create(conn, identity.account_id, new)
    return _told(services, told)


HANDLERS: Final[Mapping[type[Order[Any]], Callable[[Services, Identity, Any], Awaitable[object]]]] = {
    GetDashboardStats: _stats,
    GetActiveExecutions: _active,
    CreateWorkflow: _create,
    UpdateWorkflow: _update,
    ExecuteWorkflow: _execute,
}
