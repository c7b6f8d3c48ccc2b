"""Ralph loops, batches of runs, circuit breakers and worktree sessions: what is watched of them.

Tasks and iterations of a loop are not kept here; its counts are. The worktrees of a session are part of its row.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from db.tables.base import account, json_column, metadata, moment, one_of, owned, status_column, tenant_key, uuid_id
from domain.runs import (
    BatchStatus,
    BreakerState,
    ExecutionMode,
    LoopStatus,
    MergeStrategy,
    SchedulingMode,
    WorktreeSessionStatus,
)


def _count(name: str, default: int = 0) -> Column[object]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


def _version() -> Column[object]:
    return Column("version", BigInteger, nullable=False, server_default=text("1"))


ai_ralph_loops = Table(
    "ai_ralph_loops",
    metadata,
    uuid_id(),
    account(),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("progress_text", Text),
    status_column("status", "pending"),
    status_column("scheduling_mode", "manual"),
    Column("repository_url", Text),
    Column("branch", Text, nullable=False, server_default="main"),
    Column("default_agent_id", Uuid),
    _count("max_iterations", 100),
    _count("current_iteration"),
    _count("total_tasks"),
    _count("completed_tasks"),
    _count("failed_tasks"),
    json_column("prd_json"),
    json_column("configuration"),
    json_column("schedule_config"),
    json_column("error_details"),
    json_column("learnings", "[]"),
    moment("next_scheduled_at"),
    moment("last_scheduled_at"),
    Column("schedule_paused", Boolean, nullable=False, server_default=text("false")),
    moment("schedule_paused_at"),
    Column("schedule_paused_reason", Text),
    _count("daily_iteration_count"),
    Column("daily_iteration_reset_at", Date),
    moment("started_at"),
    moment("completed_at"),
    Column("error_message", Text),
    Column("error_code", Text),
    _version(),
    moment("created_at", required=True),
    one_of("status", LoopStatus),
    one_of("scheduling_mode", SchedulingMode),
    CheckConstraint("char_length(name) <= 255", name="name"),
    CheckConstraint("max_iterations > 0 AND current_iteration >= 0", name="iterations"),
    CheckConstraint(
        "completed_tasks >= 0 AND failed_tasks >= 0 AND total_tasks >= completed_tasks + failed_tasks", name="tasks"
    ),
    tenant_key(),
    owned("default_agent_id", "ai_agents"),
    Index("ix_ai_ralph_loops_latest", "account_id", "created_at"),
)

ai_batch_executions = Table(
    "ai_batch_executions",
    metadata,
    uuid_id(),
    account(),
    Column("batch_id", Text, nullable=False, unique=True),
    status_column("status", "pending"),
    json_column("workflows", "[]"),
    json_column("configuration"),
    Column("error_message", Text),
    moment("started_at"),
    moment("completed_at"),
    _version(),
    moment("created_at", required=True),
    one_of("status", BatchStatus),
    tenant_key(),
    Index("ix_ai_batch_executions_latest", "account_id", "created_at"),
)

circuit_breakers = Table(
    "circuit_breakers",
    metadata,
    uuid_id(),
    account(),
    Column("name", Text, nullable=False),
    Column("service", Text, nullable=False),
    status_column("state", "closed"),
    _count("failure_count"),
    _count("success_count"),
    _count("failure_threshold", 5),
    _count("success_threshold", 2),
    _count("timeout_seconds", 60),
    moment("last_failure_at"),
    moment("last_success_at"),
    moment("opened_at"),
    moment("next_attempt_at"),
    _version(),
    moment("created_at", required=True),
    one_of("state", BreakerState),
    CheckConstraint("service ~ '^[A-Za-z0-9_.-]{1,100}$'", name="service"),
    UniqueConstraint("account_id", "service", "name"),
    tenant_key(),
)

worktree_sessions = Table(
    "worktree_sessions",
    metadata,
    uuid_id(),
    account(),
    status_column("status", "pending"),
    Column("repository_path", Text, nullable=False),
    Column("base_branch", Text, nullable=False, server_default="main"),
    status_column("merge_strategy", "sequential"),
    status_column("execution_mode", "complementary"),
    _count("max_parallel", 4),
    json_column("worktrees", "[]"),
    Column("source_type", Text),
    Column("source_id", Uuid),
    Column("max_duration_seconds", Integer),
    json_column("conflict_matrix"),
    Column("error_message", Text),
    moment("started_at"),
    moment("completed_at"),
    _version(),
    moment("created_at", required=True),
    one_of("status", WorktreeSessionStatus),
    one_of("merge_strategy", MergeStrategy),
    one_of("execution_mode", ExecutionMode),
    CheckConstraint("max_parallel > 0", name="max_parallel"),
    tenant_key(),
    Index("ix_worktree_sessions_latest", "account_id", "created_at"),
)
