"""What is watched live, read only: workflows and their runs, agents' executions, loops, batches, breakers, worktrees.

The views are those of the events, so that an event and a fresh look never differ.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from db import loop_shelves, run_shelves
from domain.loop_views import (
    BatchExecutionView,
    CircuitBreakerView,
    RalphLoopDetailView,
    RalphLoopView,
    WorktreeSessionDetailView,
    WorktreeSessionView,
)
from domain.permissions import Permission
from domain.run_views import (
    ActiveExecutionView,
    AgentExecutionView,
    DashboardStatsView,
    WorkflowDetailView,
    WorkflowRunDetailView,
    WorkflowRunView,
    WorkflowView,
)
from domain.runs import BatchStatus, BreakerState, ExecutionStatus, LoopStatus, RunStatus, WorkflowStatus
from domain.runs import WorktreeSessionStatus as SessionStatus

router = APIRouter(prefix="/api/v1/ai", tags=["runs"])

Reader = Annotated[Principal, allow(Permission.WORKFLOWS_READ)]
AgentReader = Annotated[Principal, allow(Permission.AGENTS_READ)]
Page = Annotated[PageQuery, Depends()]


@router.get("/workflows", summary="List workflows", responses=listed("Workflows", WorkflowView))
async def workflows(desk: Desk, caller: Reader, query: Page, status: WorkflowStatus | None = None) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await run_shelves.WORKFLOWS.listing(conn, limit=query.per_page, offset=query.offset, status=status)
    return page(*found, query)


@router.get(
    "/workflows/{workflow_id}", summary="Show a workflow", responses=shows("Workflow", workflow=WorkflowDetailView)
)
async def workflow(workflow_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """With its plan: nodes, edges, configuration."""
    async with desk.db.account(caller.account_id) as conn:
        return done(workflow=await run_shelves.WORKFLOW_DETAILS.get(conn, str(workflow_id)))


@router.get("/workflow_runs", summary="List workflow runs", responses=listed("WorkflowRuns", WorkflowRunView))
async def workflow_runs(
    desk: Desk,
    caller: Reader,
    query: Page,
    status: RunStatus | None = None,
    workflow_id: UUID | None = None,
) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await run_shelves.WORKFLOW_RUNS.listing(
            conn, limit=query.per_page, offset=query.offset, status=status, workflow_id=workflow_id
        )
    return page(*found, query)


@router.get(
    "/workflow_runs/{run_id}",
    summary="Show a workflow run",
    responses=shows("WorkflowRun", workflow_run=WorkflowRunDetailView),
)
async def workflow_run(run_id: str, desk: Desk, caller: Reader) -> dict[str, Any]:
    """By its `run_id` or its `id`, with its nodes."""
    async with desk.db.account(caller.account_id) as conn:
        return done(workflow_run=await run_shelves.WORKFLOW_RUN_DETAILS.get(conn, run_id))


@router.get("/executions", summary="List agents' executions", responses=listed("AgentExecutions", AgentExecutionView))
async def executions(
    desk: Desk,
    caller: AgentReader,
    query: Page,
    status: ExecutionStatus | None = None,
    agent_id: UUID | None = None,
) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await run_shelves.AGENT_EXECUTIONS.listing(
            conn, limit=query.per_page, offset=query.offset, status=status, agent_id=agent_id
        )
    return page(*found, query)


@router.get(
    "/executions/{execution_id}",
    summary="Show an agent's execution",
    responses=shows("AgentExecution", execution=AgentExecutionView),
)
async def execution(execution_id: str, desk: Desk, caller: AgentReader) -> dict[str, Any]:
    """By its `execution_id` or its `id`."""
    async with desk.db.account(caller.account_id) as conn:
        return done(execution=await run_shelves.AGENT_EXECUTIONS.get(conn, execution_id))


@router.get("/ralph_loops", summary="List Ralph loops", responses=listed("RalphLoops", RalphLoopView))
async def ralph_loops(
    desk: Desk,
    caller: Reader,
    query: Page,
    status: LoopStatus | None = None,
    default_agent_id: UUID | None = None,
) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await loop_shelves.RALPH_LOOPS.listing(
            conn, limit=query.per_page, offset=query.offset, status=status, default_agent_id=default_agent_id
        )
    return page(*found, query)


@router.get(
    "/ralph_loops/{loop_id}", summary="Show a Ralph loop", responses=shows("RalphLoop", ralph_loop=RalphLoopDetailView)
)
async def ralph_loop(loop_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """With what it learned."""
    async with desk.db.account(caller.account_id) as conn:
        return done(ralph_loop=await loop_shelves.RALPH_LOOP_DETAILS.get(conn, str(loop_id)))


@router.get("/batch_executions", summary="List batches", responses=listed("BatchExecutions", BatchExecutionView))
async def batches(desk: Desk, caller: Reader, query: Page, status: BatchStatus | None = None) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await loop_shelves.BATCHES.listing(conn, limit=query.per_page, offset=query.offset, status=status)
    return page(*found, query)


@router.get(
    "/batch_executions/{batch_id}",
    summary="Show a batch",
    responses=shows("BatchExecution", batch=BatchExecutionView),
)
async def batch(batch_id: str, desk: Desk, caller: Reader) -> dict[str, Any]:
    """By its `batch_id` or its `id`."""
    async with desk.db.account(caller.account_id) as conn:
        return done(batch=await loop_shelves.BATCHES.get(conn, batch_id))


@router.get(
    "/circuit_breakers", summary="List circuit breakers", responses=listed("CircuitBreakers", CircuitBreakerView)
)
async def breakers(
    desk: Desk,
    caller: Reader,
    query: Page,
    state: BreakerState | None = None,
    service: str | None = None,
) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await loop_shelves.BREAKERS.listing(
            conn, limit=query.per_page, offset=query.offset, state=state, service=service
        )
    return page(*found, query)


@router.get(
    "/circuit_breakers/{breaker_id}",
    summary="Show a circuit breaker",
    responses=shows("CircuitBreaker", breaker=CircuitBreakerView),
)
async def breaker(breaker_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """Its state, its counts, and when it lets a call through again."""
    async with desk.db.account(caller.account_id) as conn:
        return done(breaker=await loop_shelves.BREAKERS.get(conn, str(breaker_id)))


@router.get(
    "/worktree_sessions", summary="List worktree sessions", responses=listed("WorktreeSessions", WorktreeSessionView)
)
async def worktree_sessions(
    desk: Desk, caller: Reader, query: Page, status: SessionStatus | None = None
) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await loop_shelves.WORKTREE_SESSIONS.listing(
            conn, limit=query.per_page, offset=query.offset, status=status
        )
    return page(*found, query)


@router.get(
    "/worktree_sessions/{worktree_session_id}",
    summary="Show a worktree session",
    responses=shows("WorktreeSession", session=WorktreeSessionDetailView),
)
async def worktree_session(worktree_session_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """With its worktrees."""
    async with desk.db.account(caller.account_id) as conn:
        return done(session=await loop_shelves.WORKTREE_SESSION_DETAILS.get(conn, str(worktree_session_id)))


@router.get(
    "/monitoring",
    summary="See what the workflows do",
    responses=shows("Monitoring", stats=DashboardStatsView, executions=list[ActiveExecutionView]),
)
async def monitoring(desk: Desk, caller: Reader) -> dict[str, Any]:
    """The account's numbers, and up to 50 runs that have not ended."""
    async with desk.db.account(caller.account_id) as conn:
        return done(stats=await run_shelves.dashboard(conn), executions=await run_shelves.active(conn))
