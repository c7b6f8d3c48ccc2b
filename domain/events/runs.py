"""Events of workflows, their runs and nodes, agents and their executions, and an account's dashboard.

One change can be told by several events: `workflow.run.status.changed` and, at the end, `workflow.run.completed`; an
execution by `status_change` to who watches it and by `agent.execution.…` to who watches its agent or the account.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.agent_view import AgentView
from domain.events.base import Event
from domain.events.orchestration import (
    AccountEvent,
    OrchestrationEvent,
    account_stream,
    monitoring_stream,
    orchestration_stream,
)
from domain.loop_views import AlertView
from domain.run_views import (
    ActiveExecutionView,
    AgentExecutionView,
    DashboardStatsView,
    NodeExecutionView,
    WorkflowRunView,
    WorkflowView,
)
from domain.runs import ExecutionStatus, NodeStatus


def execution_stream(execution_id: str) -> str:
    """Return the stream of an agent's execution by its public id."""
    return f"ai_agent_execution:{execution_id}"


class Payload(BaseModel):
    """Base of payloads; nothing unknown gets in."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunPayload(Payload):
    """A run, whole."""

    workflow_run: WorkflowRunView


class _RunEvent(OrchestrationEvent):
    resource_type: Literal["workflow_run"] = "workflow_run"
    payload: RunPayload

    def streams(self) -> list[str]:
        run = self.payload.workflow_run
        return [
            orchestration_stream("workflow_run", run.run_id),
            orchestration_stream("workflow", run.ai_workflow_id),
            account_stream(self.account_id),
        ]


class WorkflowRunCreated(_RunEvent):
    """A run was stored and waits to begin."""

    event: Literal["workflow.run.created"] = "workflow.run.created"


class WorkflowRunStatusChanged(_RunEvent):
    """A run began, waits, goes on, or ended."""

    event: Literal["workflow.run.status.changed"] = "workflow.run.status.changed"


class WorkflowRunProgressChanged(_RunEvent):
    """A node of a run changed, and the run's counts, costs or version with it."""

    event: Literal["workflow.run.progress.changed"] = "workflow.run.progress.changed"


class WorkflowRunCompleted(_RunEvent):
    """A run ended: completed, failed or cancelled, as its status says."""

    event: Literal["workflow.run.completed"] = "workflow.run.completed"


class NodePayload(Payload):
    """A node of a run: `node_execution` is the whole view, beside it what a list shows of it."""

    id: UUID
    execution_id: str
    status: NodeStatus
    node_name: str
    node_type: str
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    workflow_run_id: UUID
    run_id: str
    workflow_id: UUID
    node_execution: NodeExecutionView


class NodeExecutionUpdated(OrchestrationEvent):
    """A node of a run was created or changed."""

    event: Literal["workflow.node.execution.updated"] = "workflow.node.execution.updated"
    resource_type: Literal["node_execution"] = "node_execution"
    payload: NodePayload

    def streams(self) -> list[str]:
        return [
            orchestration_stream("workflow_run", self.payload.run_id),
            orchestration_stream("workflow", self.payload.workflow_id),
            account_stream(self.account_id),
        ]


class WorkflowCollaborativeUpdate(AccountEvent):
    """A workflow was created or updated by somebody; the view is whole."""

    type: Literal["workflow_collaborative_update"] = "workflow_collaborative_update"
    workflow_id: UUID
    updated_by: UUID | None
    action: Literal["created", "updated"]
    workflow: WorkflowView

    def streams(self) -> list[str]:
        return [account_stream(self.account_id), orchestration_stream("workflow", self.workflow_id)]


class AgentPayload(Payload):
    """An agent as lists show it."""

    agent: AgentView


class AgentChanged(OrchestrationEvent):
    """An agent was created or changed."""

    event: Literal["agent.created", "agent.updated"]
    resource_type: Literal["agent"] = "agent"
    payload: AgentPayload

    def streams(self) -> list[str]:
        return [orchestration_stream("agent", self.payload.agent.id), account_stream(self.account_id)]


class AgentExecutionPayload(Payload):
    """An execution, whole."""

    agent_id: UUID
    execution_id: str
    execution: AgentExecutionView


class AgentExecutionChanged(OrchestrationEvent):
    """An agent's execution was created, began, or ended. A failure is heard on the monitoring stream too."""

    event: Literal[
        "agent.execution.created",
        "agent.execution.started",
        "agent.execution.completed",
        "agent.execution.failed",
        "agent.execution.cancelled",
    ]
    resource_type: Literal["agent_execution"] = "agent_execution"
    payload: AgentExecutionPayload

    def streams(self) -> list[str]:
        names = [orchestration_stream("agent", self.payload.agent_id), account_stream(self.account_id)]
        return names + ([monitoring_stream(self.account_id)] if self.event == "agent.execution.failed" else [])


class AgentExecutionStatus(Event):
    """An agent's execution changed; the view is whole."""

    type: Literal["status_change"] = "status_change"
    execution_id: str
    status: ExecutionStatus
    execution: AgentExecutionView

    def streams(self) -> list[str]:
        return [execution_stream(self.execution_id)]


class _MonitoringEvent(AccountEvent):
    def streams(self) -> list[str]:
        return [monitoring_stream(self.account_id)]


class DashboardStats(_MonitoringEvent):
    """The numbers of an account's workflows; told whenever a run's status changes."""

    type: Literal["dashboard_stats"] = "dashboard_stats"
    stats: DashboardStatsView


class ActiveExecutions(_MonitoringEvent):
    """The runs of an account that have not ended, up to 50; told whenever a run's status changes. `version`: as of the stats."""

    type: Literal["active_executions"] = "active_executions"
    executions: list[ActiveExecutionView]
    version: int


class SystemAlert(_MonitoringEvent):
    """Something that an operator should look at."""

    type: Literal["system_alert"] = "system_alert"
    alert: AlertView


class CostAlert(_MonitoringEvent):
    """Spending that an operator should look at."""

    type: Literal["cost_alert"] = "cost_alert"
    cost_data: AlertView


class AlertPayload(Payload):
    """An alert."""

    alert: AlertView


class MonitoringAlertTriggered(OrchestrationEvent):
    """Something that an operator should look at, system or cost."""

    event: Literal["monitoring.alert.triggered"] = "monitoring.alert.triggered"
    resource_type: Literal["monitoring"] = "monitoring"
    payload: AlertPayload

    def streams(self) -> list[str]:
        return [monitoring_stream(self.account_id), account_stream(self.account_id)]


class MetricsPayload(Payload):
    """An account's numbers."""

    stats: DashboardStatsView


class MonitoringMetricsUpdated(OrchestrationEvent):
    """The numbers of an account's workflows, in the envelope."""

    event: Literal["monitoring.metrics.updated"] = "monitoring.metrics.updated"
    resource_type: Literal["monitoring"] = "monitoring"
    payload: MetricsPayload

    def streams(self) -> list[str]:
        return [monitoring_stream(self.account_id)]


EVENTS: Final[tuple[type[Event], ...]] = (
    WorkflowRunCreated,
    WorkflowRunStatusChanged,
    WorkflowRunProgressChanged,
    WorkflowRunCompleted,
    NodeExecutionUpdated,
    WorkflowCollaborativeUpdate,
    AgentChanged,
    AgentExecutionChanged,
    AgentExecutionStatus,
    DashboardStats,
    ActiveExecutions,
    SystemAlert,
    CostAlert,
    MonitoringAlertTriggered,
    MonitoringMetricsUpdated,
)
