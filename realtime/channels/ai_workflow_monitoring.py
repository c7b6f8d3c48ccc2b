"""AiWorkflowMonitoringChannel: what an account's workflows do, or one workflow; numbers and alerts of this account only."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.events.orchestration import account_stream, monitoring_stream, orchestration_stream
from domain.permissions import Permission
from domain.run_views import WorkflowView
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet, say
from realtime.identity import Identity
from realtime.run_orders import GetActiveExecutions, GetDashboardStats


class Params(BaseModel):
    """One workflow, or none for the whole account."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    workflow_id: UUID | None = None


class Nothing(BaseModel):
    """No data."""

    model_config = ConfigDict(extra="ignore", frozen=True)


async def _get_dashboard_stats(caller: Caller[Params], _data: Nothing) -> None:
    say(caller, "dashboard_stats", stats=await caller.commands.run(caller.identity, GetDashboardStats()))


async def _get_active_executions(caller: Caller[Params], _data: Nothing) -> None:
    found = await caller.commands.run(caller.identity, GetActiveExecutions(caller.params.workflow_id))
    say(caller, "active_executions", executions=found)


@register
class AiWorkflowMonitoringChannel(Channel[Params]):
    """Stream `ai_orchestration:workflow:{id}`, or the account's `ai_orchestration:monitoring:{id}` and `…:account:{id}`."""

    name = "AiWorkflowMonitoringChannel"
    params = Params
    permission = Permission.WORKFLOWS_READ
    actions = (
        Action("get_dashboard_stats", Nothing, Permission.WORKFLOWS_READ, _get_dashboard_stats),
        Action("get_active_executions", Nothing, Permission.WORKFLOWS_READ, _get_active_executions),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """The caller's own account, or any workflow of it."""
        if params.workflow_id is None:
            return [monitoring_stream(identity.account_id), account_stream(identity.account_id)]
        found = await resources.find(WorkflowView, identity.account_id, str(params.workflow_id))
        if found is None:
            raise RejectedError
        return [orchestration_stream("workflow", found.id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet."""
        workflow_id = caller.params.workflow_id
        greet(caller, channel="workflow_monitoring", workflow_id=workflow_id and str(workflow_id))
