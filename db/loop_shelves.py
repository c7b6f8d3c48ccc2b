"""How Ralph loops, batches, circuit breakers and worktree sessions are selected."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.tables import ai_batch_executions, ai_ralph_loops, circuit_breakers, worktree_sessions
from db.watched import TEXT_FILTER, UUID_FILTER, Watched
from domain.loop_views import (
    BatchExecutionView,
    CircuitBreakerView,
    RalphLoopDetailView,
    RalphLoopView,
    WorktreeSessionDetailView,
    WorktreeSessionView,
)

_LOOP: Final = """
    l.id, l.name, l.status, l.default_agent_id,
    (SELECT a.name FROM ai_agents a WHERE a.id = l.default_agent_id) AS default_agent_name,
    CASE jsonb_typeof(l.configuration -> 'mcp_server_ids') WHEN 'array' THEN l.configuration -> 'mcp_server_ids'
        ELSE '[]'::jsonb END AS mcp_server_ids,
    l.current_iteration, l.max_iterations, l.total_tasks, l.completed_tasks, l.failed_tasks, l.total_tasks AS task_count,
    l.completed_tasks AS completed_task_count,
    CASE WHEN l.total_tasks = 0 THEN 0 ELSE round(l.completed_tasks * 100.0 / l.total_tasks, 1) END
        AS progress_percentage,
    l.started_at, l.completed_at, round(EXTRACT(EPOCH FROM l.completed_at - l.started_at) * 1000) AS duration_ms,
    l.created_at, l.scheduling_mode, l.schedule_paused, l.next_scheduled_at, l.last_scheduled_at,
    l.daily_iteration_count, l.version
"""
RALPH_LOOPS: Final = Watched(
    "Ralph loop",
    ai_ralph_loops,
    RalphLoopView,
    _LOOP,
    "ai_ralph_loops l",
    "l",
    filters={
        "status": TEXT_FILTER.format(name="status", column="l.status"),
        "default_agent_id": UUID_FILTER.format(name="default_agent_id", column="l.default_agent_id"),
    },
)
RALPH_LOOP_DETAILS: Final = Watched(
    "Ralph loop",
    ai_ralph_loops,
    RalphLoopDetailView,
    f"""{_LOOP}, l.description, l.repository_url, l.branch, l.progress_text, l.learnings, l.configuration, l.prd_json,
    l.error_message, l.error_code, l.schedule_config, l.schedule_paused_at, l.schedule_paused_reason""",
    "ai_ralph_loops l",
    "l",
)


def _batch_count(name: str, statuses: str) -> str:
    return f"jsonb_array_length(jsonb_path_query_array(b.workflows, '$[*] ? ({statuses})')) AS {name}"


BATCHES: Final = Watched(
    "batch",
    ai_batch_executions,
    BatchExecutionView,
    f"""
    b.id, b.batch_id, b.status, jsonb_array_length(b.workflows) AS total_workflows,
    {_batch_count("completed_workflows", '@.status like_regex "^(completed|failed|cancelled)$"')},
    {_batch_count("successful_workflows", '@.status == "completed"')}, {_batch_count("failed_workflows", '@.status == "failed"')},
    {_batch_count("running_workflows", '@.status == "running"')}, {_batch_count("pending_workflows", '@.status == "pending"')},
    b.workflows, b.configuration, b.error_message, b.started_at, b.completed_at, b.created_at, b.version
    """,
    "ai_batch_executions b",
    "b",
    "batch_id",
    {"status": TEXT_FILTER.format(name="status", column="b.status")},
)

BREAKERS: Final = Watched(
    "circuit breaker",
    circuit_breakers,
    CircuitBreakerView,
    """
    c.id, c.name, c.service, c.state, c.failure_count, c.success_count, c.failure_threshold, c.success_threshold,
    c.timeout_seconds, c.last_failure_at, c.last_success_at, c.opened_at, c.next_attempt_at, c.created_at, c.version
    """,
    "circuit_breakers c",
    "c",
    filters={
        "state": TEXT_FILTER.format(name="state", column="c.state"),
        "service": TEXT_FILTER.format(name="service", column="c.service"),
    },
)

_WORKTREE_SESSION: Final = """
    s.id, s.status, s.repository_path, s.base_branch, s.merge_strategy, s.max_parallel,
    jsonb_array_length(s.worktrees) AS total_worktrees, k.completed AS completed_worktrees, k.failed AS failed_worktrees,
    CASE WHEN jsonb_array_length(s.worktrees) = 0 THEN 0
        ELSE round(k.completed * 100.0 / jsonb_array_length(s.worktrees), 1) END AS progress_percentage,
    s.source_type, s.source_id, s.execution_mode, s.max_duration_seconds, s.conflict_matrix, s.error_message,
    s.started_at, s.completed_at, round(EXTRACT(EPOCH FROM s.completed_at - s.started_at) * 1000) AS duration_ms,
    s.created_at, s.version
"""
_WORKTREE_SOURCE: Final = """worktree_sessions s, LATERAL (
    SELECT count(*) FILTER (WHERE e ->> 'status' IN ('completed', 'merged', 'cleaned_up')) AS completed,
        count(*) FILTER (WHERE e ->> 'status' = 'failed') AS failed
    FROM jsonb_array_elements(s.worktrees) e) k"""
WORKTREE_SESSIONS: Final = Watched(
    "worktree session",
    worktree_sessions,
    WorktreeSessionView,
    _WORKTREE_SESSION,
    _WORKTREE_SOURCE,
    "s",
    filters={"status": TEXT_FILTER.format(name="status", column="s.status")},
)
WORKTREE_SESSION_DETAILS: Final = Watched(
    "worktree session",
    worktree_sessions,
    WorktreeSessionDetailView,
    f"{_WORKTREE_SESSION}, s.worktrees",
    _WORKTREE_SOURCE,
    "s",
)

_SERVICE: Final = text("SELECT 1 FROM circuit_breakers WHERE service = :service LIMIT 1")


async def guards(conn: AsyncConnection, service: str) -> bool:
    """Whether a circuit breaker of the entered account guards this service."""
    return (await conn.execute(_SERVICE, {"service": service})).first() is not None
