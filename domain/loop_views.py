"""Ralph loops, batches, circuit breakers and worktree sessions as REST and the events show them, with a `version`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.runs import (
    BatchStatus,
    BreakerState,
    ExecutionMode,
    LoopStatus,
    MergeStrategy,
    SchedulingMode,
    WorktreeSessionStatus,
    WorktreeStatus,
    WorktreeTestStatus,
)
from domain.views import View

Json = dict[str, object]


class RalphLoopView(View):
    """A Ralph loop in lists and events. `task_count` and `completed_task_count` are the older names of two totals;
    `progress_percentage` has 1 decimal; `mcp_server_ids` stands in the configuration.
    """

    id: UUID
    name: str
    status: LoopStatus
    default_agent_id: UUID | None
    default_agent_name: str | None
    mcp_server_ids: list[str]
    current_iteration: int
    max_iterations: int
    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    task_count: int
    completed_task_count: int
    progress_percentage: float
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    created_at: datetime
    scheduling_mode: SchedulingMode
    schedule_paused: bool
    next_scheduled_at: datetime | None
    last_scheduled_at: datetime | None
    daily_iteration_count: int
    version: int


class LearningContextView(View):
    """Where something was learned."""

    iteration: int
    task_key: str | None


class LearningView(View):
    """Something that an iteration of a loop learned."""

    text: str
    iteration: int
    timestamp: datetime
    context: LearningContextView


class RalphLoopDetailView(RalphLoopView):
    """A Ralph loop in full; the token of its webhook is never part of it."""

    description: str | None
    repository_url: str | None
    branch: str
    progress_text: str | None
    learnings: list[LearningView]
    configuration: Json
    prd_json: Json
    error_message: str | None
    error_code: str | None
    schedule_config: Json
    schedule_paused_at: datetime | None
    schedule_paused_reason: str | None


class BatchWorkflowView(View):
    """One workflow of a batch and how it goes there."""

    workflow_id: str
    run_id: str | None
    status: str


class BatchExecutionView(View):
    """A batch of workflow runs, in lists and events alike; the counts are those of `workflows`."""

    id: UUID
    batch_id: str
    status: BatchStatus
    total_workflows: int
    completed_workflows: int
    successful_workflows: int
    failed_workflows: int
    running_workflows: int
    pending_workflows: int
    workflows: list[BatchWorkflowView]
    configuration: Json
    error_message: str | None
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    version: int


class CircuitBreakerView(View):
    """A circuit breaker, in lists and events alike. `service`: what it guards; `timeout_seconds`: how long it stays open."""

    id: UUID
    name: str
    service: str
    state: BreakerState
    failure_count: int
    success_count: int
    failure_threshold: int
    success_threshold: int
    timeout_seconds: int
    last_failure_at: datetime | None
    last_success_at: datetime | None
    opened_at: datetime | None
    next_attempt_at: datetime | None
    created_at: datetime
    version: int


class WorktreeView(View):
    """One worktree of a session."""

    id: UUID
    branch_name: str
    status: WorktreeStatus
    test_status: WorktreeTestStatus | None = None
    task_key: str | None = None
    error_message: str | None = None


class WorktreeSessionView(View):
    """A session of parallel worktrees, in lists and events alike. `duration_ms`: null until it ended."""

    id: UUID
    status: WorktreeSessionStatus
    repository_path: str
    base_branch: str
    merge_strategy: MergeStrategy
    max_parallel: int
    total_worktrees: int
    completed_worktrees: int
    failed_worktrees: int
    progress_percentage: float
    source_type: str | None
    source_id: UUID | None
    execution_mode: ExecutionMode
    max_duration_seconds: int | None
    conflict_matrix: Json
    error_message: str | None
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    created_at: datetime
    version: int


class WorktreeSessionDetailView(WorktreeSessionView):
    """A session with its worktrees."""

    worktrees: list[WorktreeView]


class AlertView(View):
    """Something that an operator should look at. `severity`: `info`, `warning`, `error` or `critical`."""

    id: UUID
    severity: str
    title: str
    message: str
    source: str
    details: Json
