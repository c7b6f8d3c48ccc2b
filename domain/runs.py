"""The words of work that is watched live: workflows and their runs, agent executions, loops, batches, breakers, worktrees.

Statuses and the steps between them only; views are in domain/run_views.py and domain/loop_views.py. A status that has no
way on is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

S = TypeVar("S", bound=StrEnum)


class WorkflowStatus(StrEnum):
    """Only an `active` workflow can be executed."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    INACTIVE = "inactive"
    ARCHIVED = "archived"


class Visibility(StrEnum):
    """A label so far: whoever may read workflows sees all of the account, and nobody beyond it sees any."""

    PRIVATE = "private"
    ACCOUNT = "account"
    PUBLIC = "public"


class RunStatus(StrEnum):
    """How a workflow run stands."""

    INITIALIZING = "initializing"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WAITING_APPROVAL = "waiting_approval"


class TriggerType(StrEnum):
    """What began a run."""

    MANUAL = "manual"
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"
    EVENT = "event"
    API_CALL = "api_call"
    RETRY = "retry"


class NodeStatus(StrEnum):
    """How one node of a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    WAITING_APPROVAL = "waiting_approval"


class ExecutionStatus(StrEnum):
    """How an agent's execution stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class LoopStatus(StrEnum):
    """How a Ralph loop stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SchedulingMode(StrEnum):
    """What makes a Ralph loop go on."""

    MANUAL = "manual"
    SCHEDULED = "scheduled"
    CONTINUOUS = "continuous"
    EVENT_TRIGGERED = "event_triggered"
    AUTONOMOUS = "autonomous"


class BatchStatus(StrEnum):
    """How a batch of workflow runs stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BreakerState(StrEnum):
    """`open`: calls are refused until `next_attempt_at`; `half_open`: some are let through to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class WorktreeSessionStatus(StrEnum):
    """How a session of parallel worktrees stands."""

    PENDING = "pending"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    MERGING = "merging"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class MergeStrategy(StrEnum):
    """How the worktrees of a session come together."""

    SEQUENTIAL = "sequential"
    INTEGRATION_BRANCH = "integration_branch"
    MANUAL = "manual"


class ExecutionMode(StrEnum):
    """Whether worktrees do different tasks or the same one."""

    COMPLEMENTARY = "complementary"
    COMPETITIVE = "competitive"


class WorktreeStatus(StrEnum):
    """How one worktree stands."""

    PENDING = "pending"
    CREATING = "creating"
    READY = "ready"
    IN_USE = "in_use"
    TESTING = "testing"
    COMPLETED = "completed"
    MERGED = "merged"
    CLEANED_UP = "cleaned_up"
    FAILED = "failed"


class WorktreeTestStatus(StrEnum):
    """How the tests in a worktree stand."""

    PENDING = "pending"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


def _steps(of: type[S], **ways: str) -> Mapping[S, frozenset[S]]:
    """Shape: status -> those it may be reached from. `ways`: status -> where it leads to, by words."""
    leads = {of(origin): {of(target) for target in targets.split()} for origin, targets in ways.items()}
    return {status: frozenset(origin for origin, targets in leads.items() if status in targets) for status in of}


RUN_STEPS: Final = _steps(
    RunStatus,
    initializing="running failed cancelled",
    running="completed failed cancelled waiting_approval",
    waiting_approval="running failed cancelled",
)
NODE_STEPS: Final = _steps(
    NodeStatus,
    pending="running failed cancelled skipped",
    running="completed failed cancelled waiting_approval",
    waiting_approval="running failed cancelled skipped",
    failed="running",
)
"""A failed node runs again as a retry."""
EXECUTION_STEPS: Final = _steps(
    ExecutionStatus, pending="running failed cancelled", running="completed failed cancelled"
)
LOOP_STEPS: Final = _steps(
    LoopStatus,
    pending="running failed cancelled",
    running="paused completed failed cancelled",
    paused="running failed cancelled",
)
BATCH_STEPS: Final = _steps(
    BatchStatus,
    pending="running failed cancelled",
    running="paused completed failed cancelled",
    paused="running failed cancelled",
)
WORKTREE_STEPS: Final = _steps(
    WorktreeSessionStatus,
    pending="provisioning failed cancelled",
    provisioning="active failed cancelled",
    active="merging completed failed cancelled",
    merging="active completed failed cancelled",
)
