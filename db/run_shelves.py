"""How workflows, their runs, and agent executions are selected; and what an account's dashboard shows."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.tables import agent_executions, ai_node_executions, ai_workflow_runs, ai_workflows
from db.watched import TEXT_FILTER, UUID_FILTER, Watched
from domain.errors import NotFoundError
from domain.run_views import (
    ActiveExecutionView,
    AgentExecutionView,
    AgentStandingView,
    DashboardStatsView,
    NodeExecutionView,
    WorkflowDetailView,
    WorkflowRunDetailView,
    WorkflowRunView,
    WorkflowView,
)

MAX_ACTIVE: Final = 50
MAX_RECENT: Final = 5

_WORKFLOW: Final = """
    w.id, w.name, w.description, w.slug, w.status, w.visibility, w.workflow_type, w.workflow_version,
    jsonb_array_length(w.nodes) AS total_nodes, w.created_by, w.created_at, w.updated_at, w.version
"""
WORKFLOWS: Final = Watched(
    "workflow",
    ai_workflows,
    WorkflowView,
    _WORKFLOW,
    "ai_workflows w",
    "w",
    filters={"status": TEXT_FILTER.format(name="status", column="w.status")},
)
WORKFLOW_DETAILS: Final = Watched(
    "workflow",
    ai_workflows,
    WorkflowDetailView,
    f"{_WORKFLOW}, w.configuration, w.nodes, w.edges",
    "ai_workflows w",
    "w",
)

_ENDED_AT: Final = "COALESCE(r.completed_at, r.cancelled_at)"
_RUN: Final = f"""
    r.id, r.run_id, r.workflow_id AS ai_workflow_id, r.status, r.trigger_type, r.started_at, r.completed_at,
    r.cancelled_at, r.created_at, EXTRACT(EPOCH FROM {_ENDED_AT} - r.started_at) AS duration_seconds, r.total_nodes,
    r.completed_nodes, r.failed_nodes, r.total_cost AS cost_usd, r.output_variables, r.error_details,
    CASE WHEN r.status = 'completed' THEN 100 WHEN r.total_nodes = 0 THEN 0
        ELSE round(r.completed_nodes * 100.0 / r.total_nodes, 2) END AS progress_percentage, r.version
"""
_NODE: Final = """
    n.id, n.execution_id, n.status, n.started_at, n.completed_at,
    round(EXTRACT(EPOCH FROM n.completed_at - n.started_at) * 1000) AS execution_time_ms, n.cost, n.retry_count,
    jsonb_build_object('node_id', n.node_id, 'node_type', n.node_type, 'name', n.name) AS node, n.input_data,
    n.output_data, n.error_details, n.version
"""
NODES: Final = Watched("node", ai_node_executions, NodeExecutionView, _NODE, "ai_node_executions n", "n")

WORKFLOW_RUNS: Final = Watched(
    "workflow run",
    ai_workflow_runs,
    WorkflowRunView,
    _RUN,
    "ai_workflow_runs r",
    "r",
    "run_id",
    {
        "status": TEXT_FILTER.format(name="status", column="r.status"),
        "workflow_id": UUID_FILTER.format(name="workflow_id", column="r.workflow_id"),
    },
)
WORKFLOW_RUN_DETAILS: Final = Watched(
    "workflow run",
    ai_workflow_runs,
    WorkflowRunDetailView,
    f"""{_RUN}, r.triggered_by, r.input_variables, r.runtime_context,
    (SELECT w.name FROM ai_workflows w WHERE w.id = r.workflow_id) AS workflow_name,
    COALESCE((SELECT jsonb_agg(to_jsonb(x) - 'at' ORDER BY x.at, x.node ->> 'node_id')
        FROM (SELECT {_NODE}, n.created_at AS at FROM ai_node_executions n WHERE n.workflow_run_id = r.id) x), '[]'::jsonb)
    AS node_executions""",  # noqa: S608 - constant columns
    "ai_workflow_runs r",
    "r",
    "run_id",
)

AGENT_EXECUTIONS: Final = Watched(
    "execution",
    agent_executions,
    AgentExecutionView,
    """
    e.id, e.execution_id, e.agent_id, (SELECT a.name FROM ai_agents a WHERE a.id = e.agent_id) AS agent_name, e.status,
    e.started_at, e.completed_at, round(EXTRACT(EPOCH FROM e.completed_at - e.started_at) * 1000) AS execution_time_ms,
    e.tokens_used, e.cost_usd AS total_cost, e.input_parameters AS input_data, e.output_data, e.error_message,
    e.error_details, e.created_at, e.version
    """,
    "agent_executions e",
    "e",
    "execution_id",
    {
        "status": TEXT_FILTER.format(name="status", column="e.status"),
        "agent_id": UUID_FILTER.format(name="agent_id", column="e.agent_id"),
    },
)

_STATS: Final = text(
    """
    SELECT (SELECT count(*) FROM ai_workflows WHERE status <> 'archived') AS total_workflows,
        (SELECT count(*) FROM ai_workflow_runs WHERE status IN ('initializing', 'running', 'waiting_approval'))
            AS active_executions,
        count(*) FILTER (WHERE t.status = 'completed') AS completed_today,
        count(*) FILTER (WHERE t.status = 'failed') AS failed_today,
        COALESCE((SELECT version FROM ai_dashboards), 0) AS version
    FROM (SELECT status FROM ai_workflow_runs WHERE completed_at >= date_trunc('day', now(), 'UTC')) t
    """
)
_ACTIVE: Final = text(
    """
    SELECT r.id, r.run_id, r.workflow_id, w.name AS workflow_name, r.status, r.started_at, r.completed_at,
        NULL AS execution_time_ms, r.total_cost
    FROM ai_workflow_runs r JOIN ai_workflows w ON w.id = r.workflow_id
    WHERE r.status IN ('initializing', 'running', 'waiting_approval')
      AND (CAST(:workflow_id AS uuid) IS NULL OR r.workflow_id = :workflow_id)
    ORDER BY r.created_at DESC, r.id LIMIT :limit
    """
)
_AGENT: Final = text("SELECT name, status FROM ai_agents WHERE id = :id")


async def dashboard(conn: AsyncConnection) -> DashboardStatsView:
    """Return the entered account's numbers."""
    return DashboardStatsView(**(await conn.execute(_STATS)).mappings().one())


async def active(conn: AsyncConnection, workflow_id: UUID | None = None) -> list[ActiveExecutionView]:
    """Return up to 50 runs of the entered account that have not ended, the latest first; of one workflow, if given."""
    found = await conn.execute(_ACTIVE, {"workflow_id": workflow_id, "limit": MAX_ACTIVE})
    return [ActiveExecutionView(**row) for row in found.mappings()]


async def agent_standing(conn: AsyncConnection, agent_id: UUID) -> AgentStandingView:
    """Return an agent and its latest executions. Raises NotFoundError."""
    agent = (await conn.execute(_AGENT, {"id": agent_id})).one_or_none()
    if agent is None:
        raise NotFoundError("No such agent")
    recent, _ = await AGENT_EXECUTIONS.listing(conn, limit=MAX_RECENT, agent_id=agent_id)
    return AgentStandingView(agent_id=agent_id, agent_name=agent.name, status=agent.status, recent_executions=recent)
