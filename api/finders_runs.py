"""How workflows, runs, executions, loops, batches, breakers and worktree sessions are found by channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.finding import Finder, by_id
from db import loop_shelves, run_shelves
from domain.errors import NotFoundError
from domain.loop_views import BatchExecutionView, CircuitBreakerView, RalphLoopView, WorktreeSessionView
from domain.run_views import AgentExecutionView, AgentStandingView, WorkflowRunView, WorkflowView
from realtime.resources import BreakerService


async def _agent(conn: AsyncConnection, agent_id: UUID) -> AgentStandingView | None:
    try:
        return await run_shelves.agent_standing(conn, agent_id)
    except NotFoundError:
        return None


async def _service(conn: AsyncConnection, key: str) -> BreakerService | None:
    return BreakerService(key) if await loop_shelves.guards(conn, key) else None


FINDERS: Final[Mapping[type, Finder]] = {
    AgentExecutionView: run_shelves.AGENT_EXECUTIONS.find,
    AgentStandingView: by_id(_agent),
    BatchExecutionView: loop_shelves.BATCHES.find,
    BreakerService: _service,
    CircuitBreakerView: loop_shelves.BREAKERS.find,
    RalphLoopView: loop_shelves.RALPH_LOOPS.find,
    WorkflowRunView: run_shelves.WORKFLOW_RUNS.find,
    WorkflowView: run_shelves.WORKFLOWS.find,
    WorktreeSessionView: loop_shelves.WORKTREE_SESSIONS.find,
}
