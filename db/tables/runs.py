"""Workflows, their runs and nodes, agent executions, and each account's dashboard counter.

`version` counts the changes of a row; readers order by it. A workflow's own version, its author's, is `workflow_version`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from db.tables.base import account, json_column, metadata, moment, one_of, owned, status_column, tenant_key, uuid_id
from domain.runs import ExecutionStatus, NodeStatus, RunStatus, TriggerType, Visibility, WorkflowStatus


def _count(name: str) -> Column[object]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _version() -> Column[object]:
    return Column("version", BigInteger, nullable=False, server_default=text("1"))


ai_workflows = Table(
    "ai_workflows",
    metadata,
    uuid_id(),
    account(),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("slug", Text, nullable=False),
    status_column("status", "draft"),
    status_column("visibility", "account"),
    status_column("workflow_type", "ai"),
    Column("workflow_version", Text, nullable=False, server_default="1.0.0"),
    json_column("configuration"),
    json_column("nodes", "[]"),
    json_column("edges", "[]"),
    Column("created_by", Uuid),
    _version(),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    one_of("status", WorkflowStatus),
    one_of("visibility", Visibility),
    UniqueConstraint("account_id", "slug", "workflow_version"),
    tenant_key(),
)

ai_workflow_runs = Table(
    "ai_workflow_runs",
    metadata,
    uuid_id(),
    account(),
    Column("run_id", Text, nullable=False, unique=True),
    Column("workflow_id", Uuid, nullable=False),
    status_column("status", "initializing"),
    status_column("trigger_type", "manual"),
    Column("triggered_by", Uuid),
    _count("total_nodes"),
    _count("completed_nodes"),
    _count("failed_nodes"),
    json_column("input_variables"),
    json_column("output_variables"),
    json_column("runtime_context"),
    json_column("error_details"),
    json_column("metadata"),
    Column("total_cost", Numeric(10, 6), nullable=False, server_default=text("0")),
    moment("started_at"),
    moment("completed_at"),
    moment("cancelled_at"),
    _version(),
    moment("created_at", required=True),
    one_of("status", RunStatus),
    one_of("trigger_type", TriggerType),
    CheckConstraint(
        "completed_nodes >= 0 AND failed_nodes >= 0 AND total_nodes >= completed_nodes + failed_nodes", name="nodes"
    ),
    CheckConstraint("status NOT IN ('completed', 'failed') OR completed_at IS NOT NULL", name="completed"),
    CheckConstraint("status <> 'failed' OR error_details <> '{}'::jsonb", name="failed"),
    CheckConstraint("status <> 'cancelled' OR cancelled_at IS NOT NULL", name="cancelled"),
    tenant_key(),
    owned("workflow_id", "ai_workflows"),
    Index("ix_ai_workflow_runs_latest", "account_id", "created_at"),
    Index("ix_ai_workflow_runs_workflow", "workflow_id", "created_at"),
    Index("ix_ai_workflow_runs_ended", "account_id", "completed_at"),
    Index(
        "ix_ai_workflow_runs_open",
        "account_id",
        postgresql_where=text("status IN ('initializing', 'running', 'waiting_approval')"),
    ),
)

ai_node_executions = Table(
    "ai_node_executions",
    metadata,
    uuid_id(),
    account(),
    Column("workflow_run_id", Uuid, nullable=False),
    Column("execution_id", Text, nullable=False, unique=True),
    Column("node_id", Text, nullable=False),
    Column("node_type", Text, nullable=False),
    Column("name", Text, nullable=False),
    status_column("status", "pending"),
    _count("retry_count"),
    Column("max_retries", Integer, nullable=False, server_default=text("3")),
    json_column("input_data"),
    json_column("output_data"),
    json_column("configuration_snapshot"),
    json_column("error_details"),
    Column("cost", Numeric(10, 6), nullable=False, server_default=text("0")),
    moment("started_at"),
    moment("completed_at"),
    Column("version", BigInteger, nullable=False),
    moment("created_at", required=True),
    one_of("status", NodeStatus),
    CheckConstraint("retry_count BETWEEN 0 AND max_retries", name="retries"),
    UniqueConstraint("workflow_run_id", "node_id"),
    tenant_key(),
    owned("workflow_run_id", "ai_workflow_runs"),
)

agent_executions = Table(
    "agent_executions",
    metadata,
    uuid_id(),
    account(),
    Column("execution_id", Text, nullable=False, unique=True),
    Column("agent_id", Uuid, nullable=False),
    Column("parent_execution_id", Uuid),
    Column("user_id", Uuid),
    status_column("status", "pending"),
    json_column("input_parameters"),
    json_column("output_data"),
    json_column("execution_context"),
    json_column("performance_metrics"),
    Column("error_message", Text),
    json_column("error_details"),
    _count("tokens_used"),
    Column("cost_usd", Numeric(10, 4), nullable=False, server_default=text("0")),
    moment("started_at"),
    moment("completed_at"),
    _version(),
    moment("created_at", required=True),
    one_of("status", ExecutionStatus),
    CheckConstraint("char_length(execution_id) <= 100", name="execution_id"),
    CheckConstraint("char_length(error_message) <= 1000", name="error_message"),
    CheckConstraint("status <> 'failed' OR error_message IS NOT NULL", name="failed"),
    tenant_key(),
    owned("agent_id", "ai_agents"),
    owned("parent_execution_id", "agent_executions"),
    Index("ix_agent_executions_agent", "agent_id", "created_at"),
    Index("ix_agent_executions_latest", "account_id", "created_at"),
)

ai_dashboards = Table(
    "ai_dashboards",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    _version(),
)
