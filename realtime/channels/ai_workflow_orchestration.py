"""AiWorkflowOrchestrationChannel: make, change and execute workflows, and hear what others of the account do to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from domain.events.orchestration import account_stream
from domain.permissions import Permission
from domain.run_views import WorkflowEdgeView, WorkflowNodeView
from domain.workflow_plan import MAX_EDGES, MAX_NODES, WorkflowFields, WorkflowUpdates
from realtime import run_orders
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.greeting import greet, say
from realtime.identity import Identity


class Params(BaseModel):
    """Nothing: it is the caller's account."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CreateWorkflow(BaseModel):
    """A workflow with its plan."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    workflow: WorkflowFields
    nodes: list[WorkflowNodeView] = Field(default_factory=list[WorkflowNodeView], max_length=MAX_NODES)
    edges: list[WorkflowEdgeView] = Field(default_factory=list[WorkflowEdgeView], max_length=MAX_EDGES)


class UpdateWorkflow(BaseModel):
    """What is to be changed of a workflow; only what WorkflowUpdates names can be."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    workflow_id: UUID
    updates: WorkflowUpdates


class ExecuteWorkflow(BaseModel):
    """Which workflow, with what to begin from."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    workflow_id: UUID
    input_variables: dict[str, Any] = Field(default_factory=dict[str, Any])


async def _create(caller: Caller[Params], data: CreateWorkflow) -> None:
    order = run_orders.CreateWorkflow(data.workflow, data.nodes, data.edges)
    say(caller, "workflow_created", workflow=await caller.commands.run(caller.identity, order))


async def _update(caller: Caller[Params], data: UpdateWorkflow) -> None:
    order = run_orders.UpdateWorkflow(data.workflow_id, data.updates)
    say(caller, "workflow_updated", workflow=await caller.commands.run(caller.identity, order))


async def _execute(caller: Caller[Params], data: ExecuteWorkflow) -> None:
    order = run_orders.ExecuteWorkflow(data.workflow_id, data.input_variables)
    say(caller, "workflow_execution_started", workflow_run=await caller.commands.run(caller.identity, order))


@register
class AiWorkflowOrchestrationChannel(Channel[Params]):
    """Stream `ai_orchestration:account:{id}` of the caller's account."""

    name = "AiWorkflowOrchestrationChannel"
    params = Params
    permission = Permission.WORKFLOWS_READ
    actions = (
        Action("create_workflow", CreateWorkflow, Permission.WORKFLOWS_MANAGE, _create),
        Action("update_workflow", UpdateWorkflow, Permission.WORKFLOWS_MANAGE, _update),
        Action("execute_workflow", ExecuteWorkflow, Permission.WORKFLOWS_EXECUTE, _execute),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """The caller's own account."""
        return [account_stream(identity.account_id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet."""
        greet(caller, channel="workflow_orchestration")
