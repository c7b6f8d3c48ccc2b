"""Orders about workflows: to look at their numbers, to make, change and execute them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from domain.run_views import (
    ActiveExecutionView,
    DashboardStatsView,
    WorkflowDetailView,
    WorkflowEdgeView,
    WorkflowNodeView,
    WorkflowRunView,
)
from domain.workflow_plan import WorkflowFields, WorkflowUpdates
from realtime.commands import Order


@dataclass(frozen=True, slots=True)
class GetDashboardStats(Order[DashboardStatsView]):
    """The numbers of the person's account."""


@dataclass(frozen=True, slots=True)
class GetActiveExecutions(Order[list[ActiveExecutionView]]):
    """The runs of the person's account that have not ended, up to 50; of one workflow, if given."""

    workflow_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CreateWorkflow(Order[WorkflowDetailView]):
    """Make a workflow."""

    fields: WorkflowFields
    nodes: Sequence[WorkflowNodeView] = ()
    edges: Sequence[WorkflowEdgeView] = ()


@dataclass(frozen=True, slots=True)
class UpdateWorkflow(Order[WorkflowDetailView]):
    """Change what is given of a workflow."""

    workflow_id: UUID
    updates: WorkflowUpdates


@dataclass(frozen=True, slots=True)
class ExecuteWorkflow(Order[WorkflowRunView]):
    """Store a run of a workflow; what executes runs begins it."""

    workflow_id: UUID
    input_variables: Mapping[str, object] = field(default_factory=dict[str, object])
