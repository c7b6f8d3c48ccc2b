"""Workflows, their runs and nodes, and agent executions as REST and the events show them, whole, with a `version`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from domain.runs import ExecutionStatus, NodeStatus, RunStatus, TriggerType, Visibility, WorkflowStatus
from domain.views import View

Json = dict[str, object]


class WorkflowNodeView(View):
    """A node of a workflow's plan; positions are the editor's."""

    node_id: str
    node_type: str
    name: str
    position_x: float = 0
    position_y: float = 0
    configuration: Json = Field(default_factory=dict)


class WorkflowEdgeView(View):
    """What follows what in a workflow's plan."""

    edge_id: str
    source_node_id: str
    target_node_id: str
    edge_type: str = "default"


class WorkflowView(View):
    """A workflow in lists and events. `workflow_version` is its author's, `version` counts changes of the row."""

    id: UUID
    name: str
    description: str | None
    slug: str
    status: WorkflowStatus
    visibility: Visibility
    workflow_type: str
    workflow_version: str
    total_nodes: int
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    version: int


class WorkflowDetailView(WorkflowView):
    """A workflow with its plan."""

    configuration: Json
    nodes: list[WorkflowNodeView]
    edges: list[WorkflowEdgeView]


class WorkflowRunView(View):
    """A workflow run in lists and events. `duration_seconds`: null until it ended; `progress_percentage`: 2 decimals."""

    id: UUID
    run_id: str
    ai_workflow_id: UUID
    status: RunStatus
    trigger_type: TriggerType
    started_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    created_at: datetime
    duration_seconds: float | None
    total_nodes: int
    completed_nodes: int
    failed_nodes: int
    cost_usd: float
    output_variables: Json
    error_details: Json
    progress_percentage: float
    version: int


class NodeRefView(View):
    """Which node of the workflow's plan."""

    node_id: str
    node_type: str
    name: str


class NodeExecutionView(View):
    """One node of a run. `version` is the run's at the node's last change; `execution_time_ms`: null until it ended."""

    id: UUID
    execution_id: str
    status: NodeStatus
    started_at: datetime | None
    completed_at: datetime | None
    execution_time_ms: int | None
    cost: float
    retry_count: int
    node: NodeRefView
    input_data: Json
    output_data: Json
    error_details: Json
    version: int


class WorkflowRunDetailView(WorkflowRunView):
    """A workflow run in full, with its nodes in the order in which they came."""

    workflow_name: str
    triggered_by: UUID | None
    input_variables: Json
    runtime_context: Json
    node_executions: list[NodeExecutionView]


class ActiveExecutionView(View):
    """A run that has not ended, as the dashboard shows it. `execution_time_ms`: null until it ended."""

    id: UUID
    run_id: str
    workflow_id: UUID
    workflow_name: str
    status: RunStatus
    started_at: datetime | None
    completed_at: datetime | None
    execution_time_ms: int | None
    total_cost: float


class DashboardStatsView(View):
    """What an account's workflows do. `…_today`: since midnight UTC. `version`: of the dashboard, for its order."""

    total_workflows: int
    active_executions: int
    completed_today: int
    failed_today: int
    version: int


class AgentExecutionView(View):
    """An agent's execution, in lists and events alike. `execution_time_ms`: null until it ended."""

    id: UUID
    execution_id: str
    agent_id: UUID
    agent_name: str
    status: ExecutionStatus
    started_at: datetime | None
    completed_at: datetime | None
    execution_time_ms: int | None
    tokens_used: int
    total_cost: float
    input_data: Json
    output_data: Json
    error_message: str | None
    error_details: Json
    created_at: datetime
    version: int


class AgentStandingView(View):
    """An agent and what it did last: up to five executions, the latest first."""

    agent_id: UUID
    agent_name: str
    status: str
    recent_executions: list[AgentExecutionView]
