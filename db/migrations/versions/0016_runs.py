"""Workflows and their runs, agent executions, Ralph loops, batches, circuit breakers, worktree sessions: what is watched of
them. Conversations and agents count their changes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from db.migrations.walls import wall

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = (
    "ai_batch_executions",
    "ai_dashboards",
    "ai_workflows",
    "circuit_breakers",
    "worktree_sessions",
    "agent_executions",
    "ai_ralph_loops",
    "ai_workflow_runs",
    "ai_node_executions",
)
"""In the order in which they point at each other."""


def _ai_batch_executions() -> None:
    op.create_table(
        "ai_batch_executions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("workflows", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("configuration", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_ai_batch_executions_status"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_ai_batch_executions")),
        sa.UniqueConstraint("batch_id", name=op.f("uq_ai_batch_executions_batch_id")),
    )
    op.create_index("ix_ai_batch_executions_latest", "ai_batch_executions", ["account_id", "created_at"], unique=False)


def _ai_dashboards() -> None:
    op.create_table(
        "ai_dashboards",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_ai_dashboards")),
    )


def _ai_workflows() -> None:
    op.create_table(
        "ai_workflows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("visibility", sa.Text(), server_default="account", nullable=False),
        sa.Column("workflow_type", sa.Text(), server_default="ai", nullable=False),
        sa.Column("workflow_version", sa.Text(), server_default="1.0.0", nullable=False),
        sa.Column("configuration", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("nodes", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("edges", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'active', 'paused', 'inactive', 'archived')", name=op.f("ck_ai_workflows_status")
        ),
        sa.CheckConstraint("visibility IN ('private', 'account', 'public')", name=op.f("ck_ai_workflows_visibility")),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_ai_workflows")),
        sa.UniqueConstraint(
            "account_id", "slug", "workflow_version", name=op.f("uq_ai_workflows_account_id_slug_workflow_version")
        ),
    )


def _circuit_breakers() -> None:
    op.create_table(
        "circuit_breakers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="closed", nullable=False),
        sa.Column("failure_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("success_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failure_threshold", sa.Integer(), server_default=sa.text("5"), nullable=False),
        sa.Column("success_threshold", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("timeout_seconds", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column("last_failure_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("service ~ '^[A-Za-z0-9_.-]{1,100}$'", name=op.f("ck_circuit_breakers_service")),
        sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name=op.f("ck_circuit_breakers_state")),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_circuit_breakers")),
        sa.UniqueConstraint("account_id", "service", "name", name=op.f("uq_circuit_breakers_account_id_service_name")),
    )


def _worktree_sessions() -> None:
    op.create_table(
        "worktree_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("repository_path", sa.Text(), nullable=False),
        sa.Column("base_branch", sa.Text(), server_default="main", nullable=False),
        sa.Column("merge_strategy", sa.Text(), server_default="sequential", nullable=False),
        sa.Column("execution_mode", sa.Text(), server_default="complementary", nullable=False),
        sa.Column("max_parallel", sa.Integer(), server_default=sa.text("4"), nullable=False),
        sa.Column("worktrees", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("source_type", sa.Text(), nullable=True),
        sa.Column("source_id", sa.Uuid(), nullable=True),
        sa.Column("max_duration_seconds", sa.Integer(), nullable=True),
        sa.Column("conflict_matrix", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "execution_mode IN ('complementary', 'competitive')", name=op.f("ck_worktree_sessions_execution_mode")
        ),
        sa.CheckConstraint(
            "merge_strategy IN ('sequential', 'integration_branch', 'manual')",
            name=op.f("ck_worktree_sessions_merge_strategy"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'provisioning', 'active', 'merging', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_worktree_sessions_status"),
        ),
        sa.CheckConstraint("max_parallel > 0", name=op.f("ck_worktree_sessions_max_parallel")),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_worktree_sessions")),
    )
    op.create_index("ix_worktree_sessions_latest", "worktree_sessions", ["account_id", "created_at"], unique=False)


def _agent_executions() -> None:
    op.create_table(
        "agent_executions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("parent_execution_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("input_parameters", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("output_data", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("execution_context", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("performance_metrics", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("tokens_used", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_usd", sa.Numeric(precision=10, scale=4), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status <> 'failed' OR error_message IS NOT NULL", name=op.f("ck_agent_executions_failed")),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_agent_executions_status"),
        ),
        sa.CheckConstraint("char_length(error_message) <= 1000", name=op.f("ck_agent_executions_error_message")),
        sa.CheckConstraint("char_length(execution_id) <= 100", name=op.f("ck_agent_executions_execution_id")),
        sa.ForeignKeyConstraint(
            ["account_id", "agent_id"],
            ["ai_agents.account_id", "ai_agents.id"],
            name=op.f("fk_agent_executions_account_id_agent_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "parent_execution_id"],
            ["agent_executions.account_id", "agent_executions.id"],
            name=op.f("fk_agent_executions_account_id_parent_execution_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_agent_executions")),
        sa.UniqueConstraint("execution_id", name=op.f("uq_agent_executions_execution_id")),
    )
    op.create_index("ix_agent_executions_agent", "agent_executions", ["agent_id", "created_at"], unique=False)
    op.create_index("ix_agent_executions_latest", "agent_executions", ["account_id", "created_at"], unique=False)


def _ai_ralph_loops() -> None:
    op.create_table(
        "ai_ralph_loops",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("progress_text", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("scheduling_mode", sa.Text(), server_default="manual", nullable=False),
        sa.Column("repository_url", sa.Text(), nullable=True),
        sa.Column("branch", sa.Text(), server_default="main", nullable=False),
        sa.Column("default_agent_id", sa.Uuid(), nullable=True),
        sa.Column("max_iterations", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("current_iteration", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_tasks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("completed_tasks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_tasks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("prd_json", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("configuration", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("schedule_config", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("error_details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("learnings", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("next_scheduled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_scheduled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("schedule_paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("schedule_paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("schedule_paused_reason", sa.Text(), nullable=True),
        sa.Column("daily_iteration_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("daily_iteration_reset_at", sa.Date(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "scheduling_mode IN ('manual', 'scheduled', 'continuous', 'event_triggered', 'autonomous')",
            name=op.f("ck_ai_ralph_loops_scheduling_mode"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_ai_ralph_loops_status"),
        ),
        sa.CheckConstraint("char_length(name) <= 255", name=op.f("ck_ai_ralph_loops_name")),
        sa.CheckConstraint(
            "completed_tasks >= 0 AND failed_tasks >= 0 AND total_tasks >= completed_tasks + failed_tasks",
            name=op.f("ck_ai_ralph_loops_tasks"),
        ),
        sa.CheckConstraint("max_iterations > 0 AND current_iteration >= 0", name=op.f("ck_ai_ralph_loops_iterations")),
        sa.ForeignKeyConstraint(
            ["account_id", "default_agent_id"],
            ["ai_agents.account_id", "ai_agents.id"],
            name=op.f("fk_ai_ralph_loops_account_id_default_agent_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_ai_ralph_loops")),
    )
    op.create_index("ix_ai_ralph_loops_latest", "ai_ralph_loops", ["account_id", "created_at"], unique=False)


def _ai_workflow_runs() -> None:
    op.create_table(
        "ai_workflow_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="initializing", nullable=False),
        sa.Column("trigger_type", sa.Text(), server_default="manual", nullable=False),
        sa.Column("triggered_by", sa.Uuid(), nullable=True),
        sa.Column("total_nodes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("completed_nodes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_nodes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("input_variables", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("output_variables", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("runtime_context", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("error_details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("total_cost", sa.Numeric(precision=10, scale=6), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status <> 'cancelled' OR cancelled_at IS NOT NULL", name=op.f("ck_ai_workflow_runs_cancelled")
        ),
        sa.CheckConstraint(
            "status <> 'failed' OR error_details <> '{}'::jsonb", name=op.f("ck_ai_workflow_runs_failed")
        ),
        sa.CheckConstraint(
            "status IN ('initializing', 'running', 'completed', 'failed', 'cancelled', 'waiting_approval')",
            name=op.f("ck_ai_workflow_runs_status"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('completed', 'failed') OR completed_at IS NOT NULL",
            name=op.f("ck_ai_workflow_runs_completed"),
        ),
        sa.CheckConstraint(
            "trigger_type IN ('manual', 'webhook', 'schedule', 'event', 'api_call', 'retry')",
            name=op.f("ck_ai_workflow_runs_trigger_type"),
        ),
        sa.CheckConstraint(
            "completed_nodes >= 0 AND failed_nodes >= 0 AND total_nodes >= completed_nodes + failed_nodes",
            name=op.f("ck_ai_workflow_runs_nodes"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "workflow_id"],
            ["ai_workflows.account_id", "ai_workflows.id"],
            name=op.f("fk_ai_workflow_runs_account_id_workflow_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_ai_workflow_runs")),
        sa.UniqueConstraint("run_id", name=op.f("uq_ai_workflow_runs_run_id")),
    )
    op.create_index("ix_ai_workflow_runs_latest", "ai_workflow_runs", ["account_id", "created_at"], unique=False)
    op.create_index("ix_ai_workflow_runs_workflow", "ai_workflow_runs", ["workflow_id", "created_at"], unique=False)
    op.create_index("ix_ai_workflow_runs_ended", "ai_workflow_runs", ["account_id", "completed_at"], unique=False)
    op.create_index(
        "ix_ai_workflow_runs_open",
        "ai_workflow_runs",
        ["account_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('initializing', 'running', 'waiting_approval')"),
    )


def _ai_node_executions() -> None:
    op.create_table(
        "ai_node_executions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("workflow_run_id", sa.Uuid(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("node_type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("retry_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_retries", sa.Integer(), server_default=sa.text("3"), nullable=False),
        sa.Column("input_data", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("output_data", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("configuration_snapshot", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("error_details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("cost", sa.Numeric(precision=10, scale=6), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'skipped', 'waiting_approval')",
            name=op.f("ck_ai_node_executions_status"),
        ),
        sa.CheckConstraint("retry_count BETWEEN 0 AND max_retries", name=op.f("ck_ai_node_executions_retries")),
        sa.ForeignKeyConstraint(
            ["account_id", "workflow_run_id"],
            ["ai_workflow_runs.account_id", "ai_workflow_runs.id"],
            name=op.f("fk_ai_node_executions_account_id_workflow_run_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_ai_node_executions")),
        sa.UniqueConstraint("execution_id", name=op.f("uq_ai_node_executions_execution_id")),
        sa.UniqueConstraint("workflow_run_id", "node_id", name=op.f("uq_ai_node_executions_workflow_run_id_node_id")),
    )


def upgrade() -> None:
    """Apply."""
    _ai_batch_executions()
    _ai_dashboards()
    _ai_workflows()
    _circuit_breakers()
    _worktree_sessions()
    _agent_executions()
    _ai_ralph_loops()
    _ai_workflow_runs()
    _ai_node_executions()
    for table in TABLES:
        wall(table)
    op.add_column("ai_agents", sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False))
    op.add_column(
        "ai_conversations", sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False)
    )


def downgrade() -> None:
    """Take back."""
    for table in ("ai_agents", "ai_conversations"):
        op.drop_column(table, "version")
    for table in reversed(TABLES):
        op.drop_table(table)
