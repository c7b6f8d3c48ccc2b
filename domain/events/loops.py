"""Events of Ralph loops, batches of runs, circuit breakers and worktree sessions, all in the orchestration envelope."""

from __future__ import annotations

from typing import Any, Final, Literal
from uuid import UUID

from domain.events.base import Event
from domain.events.orchestration import (
    OrchestrationEvent,
    account_stream,
    all_breakers_stream,
    orchestration_stream,
    service_stream,
)
from domain.events.runs import Payload
from domain.loop_views import (
    BatchExecutionView,
    BatchWorkflowView,
    CircuitBreakerView,
    LearningView,
    RalphLoopView,
    WorktreeSessionView,
    WorktreeView,
)
from domain.runs import BatchStatus, LoopStatus, WorktreeSessionStatus


class LoopPayload(Payload):
    """A loop: `ralph_loop` is the whole view, beside it what a progress bar shows of it."""

    loop_id: UUID
    status: LoopStatus
    progress_percentage: float
    current_iteration: int
    completed_task_count: int
    task_count: int
    ralph_loop: RalphLoopView


def loop_progress(view: RalphLoopView) -> dict[str, Any]:
    """Return the fields that every payload of a loop has."""
    return {
        "loop_id": view.id,
        "status": view.status,
        "progress_percentage": view.progress_percentage,
        "current_iteration": view.current_iteration,
        "completed_task_count": view.completed_task_count,
        "task_count": view.task_count,
        "ralph_loop": view,
    }


class LoopFailedPayload(LoopPayload):
    """And why it failed."""

    error_message: str


class LoopIterationPayload(LoopPayload):
    """And which iteration ended."""

    iteration_number: int


class LoopTaskPayload(LoopPayload):
    """And which task is what now."""

    task_id: str
    task_status: str


class LoopLearningPayload(LoopPayload):
    """And what was learned."""

    learning: LearningView


class _LoopEvent(OrchestrationEvent):
    resource_type: Literal["ralph_loop"] = "ralph_loop"

    def streams(self) -> list[str]:
        return [orchestration_stream("ralph_loop", self.resource_id), account_stream(self.account_id)]


class RalphLoopChanged(_LoopEvent):
    """A loop was created or goes on (`progress`), began, paused, completed, or was cancelled."""

    event: Literal[
        "ralph_loop.started",
        "ralph_loop.progress",
        "ralph_loop.completed",
        "ralph_loop.paused",
        "ralph_loop.cancelled",
    ]
    payload: LoopPayload


class RalphLoopFailed(_LoopEvent):
    """A loop failed."""

    event: Literal["ralph_loop.failed"] = "ralph_loop.failed"
    payload: LoopFailedPayload


class RalphLoopIterationCompleted(_LoopEvent):
    """An iteration of a loop ended."""

    event: Literal["ralph_loop.iteration_completed"] = "ralph_loop.iteration_completed"
    payload: LoopIterationPayload


class RalphLoopTaskStatusChanged(_LoopEvent):
    """A task of a loop changed, and the loop's counts with it."""

    event: Literal["ralph_loop.task_status_changed"] = "ralph_loop.task_status_changed"
    payload: LoopTaskPayload


class RalphLoopLearningAdded(_LoopEvent):
    """An iteration of a loop learned something."""

    event: Literal["ralph_loop.learning_added"] = "ralph_loop.learning_added"
    payload: LoopLearningPayload


class BatchPayload(Payload):
    """A batch: `batch` is the whole view, beside it what a progress bar shows of it."""

    batch_id: str
    status: BatchStatus
    total_workflows: int
    completed_workflows: int
    successful_workflows: int
    failed_workflows: int
    running_workflows: int
    pending_workflows: int
    batch: BatchExecutionView


class BatchWorkflowPayload(BatchPayload):
    """And which workflow is what now."""

    workflow: BatchWorkflowView


class _BatchEvent(OrchestrationEvent):
    resource_type: Literal["batch_execution"] = "batch_execution"

    def streams(self) -> list[str]:
        return [orchestration_stream("batch_execution", self.resource_id), account_stream(self.account_id)]


class BatchExecutionChanged(_BatchEvent):
    """A batch was created (`progress`), began, paused, went on, or ended."""

    event: Literal[
        "batch.execution.started",
        "batch.execution.progress",
        "batch.execution.paused",
        "batch.execution.resumed",
        "batch.execution.cancelled",
        "batch.execution.completed",
        "batch.execution.failed",
    ]
    payload: BatchPayload


class BatchWorkflowChanged(_BatchEvent):
    """A workflow of a batch began or ended, and the batch's counts changed with it."""

    event: Literal["batch.workflow.started", "batch.workflow.completed", "batch.workflow.failed"]
    payload: BatchWorkflowPayload


class BreakerPayload(Payload):
    """A circuit breaker, whole."""

    breaker: CircuitBreakerView


class CircuitBreakerChanged(OrchestrationEvent):
    """A circuit breaker counted a call, or changed its state: then `state_changed` and the state's own event both come."""

    event: Literal[
        "circuit_breaker.state_changed",
        "circuit_breaker.opened",
        "circuit_breaker.closed",
        "circuit_breaker.half_opened",
        "circuit_breaker.failure",
        "circuit_breaker.success",
        "circuit_breaker.reset",
    ]
    resource_type: Literal["circuit_breaker"] = "circuit_breaker"
    payload: BreakerPayload

    def streams(self) -> list[str]:
        return [
            orchestration_stream("circuit_breaker", self.resource_id),
            all_breakers_stream(self.account_id),
            service_stream(self.account_id, self.payload.breaker.service),
            account_stream(self.account_id),
        ]


class WorktreeSessionPayload(Payload):
    """A worktree session: `session` is the whole view."""

    status: WorktreeSessionStatus
    session: WorktreeSessionView


class WorktreePayload(WorktreeSessionPayload):
    """And which worktree is what now."""

    worktree: WorktreeView


class _WorktreeEvent(OrchestrationEvent):
    resource_type: Literal["worktree_session"] = "worktree_session"

    def streams(self) -> list[str]:
        return [orchestration_stream("worktree_session", self.resource_id), account_stream(self.account_id)]


class WorktreeSessionChanged(_WorktreeEvent):
    """A worktree session was created or changed: `status_changed` and the status' own event both come."""

    event: Literal[
        "worktree_session.status_changed",
        "worktree_session.provisioning",
        "worktree_session.active",
        "worktree_session.merging",
        "worktree_session.completed",
        "worktree_session.failed",
        "worktree_session.cancelled",
        "worktree_session.conflicts_detected",
    ]
    payload: WorktreeSessionPayload


class WorktreeChanged(_WorktreeEvent):
    """A worktree of a session was created or changed: `status_changed` and, where it has one, the status' own event come."""

    event: Literal[
        "worktree.status_changed",
        "worktree.created",
        "worktree.ready",
        "worktree.task_started",
        "worktree.completed",
        "worktree.failed",
    ]
    payload: WorktreePayload


EVENTS: Final[tuple[type[Event], ...]] = (
    RalphLoopChanged,
    RalphLoopFailed,
    RalphLoopIterationCompleted,
    RalphLoopTaskStatusChanged,
    RalphLoopLearningAdded,
    BatchExecutionChanged,
    BatchWorkflowChanged,
    CircuitBreakerChanged,
    WorktreeSessionChanged,
    WorktreeChanged,
)
