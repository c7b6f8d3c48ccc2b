"""One thing of each kind that the channels of runs, executions, loops and the like are about, made for real.

`examples()`: channel -> a coroutine that makes a thing in an account and returns the params that lead to it. `forms()` has
one for every form that the params of a channel can take.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from uuid import UUID, uuid4

from sqlalchemy import text

from db import batches, breakers, executions, ralph_loops, workflow_runs, workflows, worktrees
from db.agents import AgentChange
from db.agents import create as create_agent
from db.breakers import NewBreaker
from db.executions import NewExecution
from db.ralph_loops import NewLoop
from db.session import Database
from db.workflow_runs import NewRun
from db.workflows import NewWorkflow
from db.worktrees import NewWorktreeSession
from domain.loop_views import BatchExecutionView, CircuitBreakerView, RalphLoopView, WorktreeSessionView
from domain.run_views import AgentExecutionView, WorkflowDetailView, WorkflowNodeView, WorkflowRunView
from domain.runs import WorkflowStatus
from domain.workflow_plan import WorkflowFields

Params = dict[str, str]
Make = Callable[[Database, UUID], Awaitable[Params]]
NODES = tuple(WorkflowNodeView(node_id=one, node_type="ai_agent", name=one.title()) for one in ("first", "second"))


class Row(Protocol):
    """Whatever has an id."""

    @property
    def id(self) -> UUID: ...


async def make_workflow(db: Database, account_id: UUID) -> WorkflowDetailView:
    """An active workflow of two nodes."""
    fields = WorkflowFields(name="Greet", slug=f"greet-{uuid4().hex}", status=WorkflowStatus.ACTIVE)
    async with db.account(account_id) as conn:
        return (await workflows.create(conn, account_id, NewWorkflow(fields, NODES))).view


async def make_run(db: Database, account_id: UUID) -> WorkflowRunView:
    workflow = await make_workflow(db, account_id)
    async with db.account(account_id) as conn:
        return (await workflow_runs.create(conn, account_id, NewRun(workflow.id))).view


async def make_agent(db: Database, account_id: UUID) -> UUID:
    async with db.account(account_id) as conn:
        slug = f"agent-{uuid4().hex}"
        made = await create_agent(conn, slug, AgentChange(name="Ada", provider="local", model="local"))
    return made.id


async def make_execution(db: Database, account_id: UUID) -> AgentExecutionView:
    agent_id = await make_agent(db, account_id)
    async with db.account(account_id) as conn:
        return (await executions.create(conn, account_id, NewExecution(agent_id))).view


async def make_loop(db: Database, account_id: UUID) -> RalphLoopView:
    async with db.account(account_id) as conn:
        return (await ralph_loops.create(conn, account_id, NewLoop("Tidy up", total_tasks=4))).view


async def make_batch(db: Database, account_id: UUID) -> BatchExecutionView:
    async with db.account(account_id) as conn:
        return (await batches.create(conn, account_id, [uuid4(), uuid4()])).view


async def make_breaker(db: Database, account_id: UUID) -> CircuitBreakerView:
    new = NewBreaker("main", f"service-{uuid4().hex}")
    async with db.account(account_id) as conn:
        return (await breakers.create(conn, account_id, new)).view


async def make_worktree_session(db: Database, account_id: UUID) -> WorktreeSessionView:
    async with db.account(account_id) as conn:
        return (await worktrees.create(conn, account_id, NewWorktreeSession("/srv/repository"))).view


async def make_conversation(db: Database, account_id: UUID) -> tuple[UUID, str]:
    """An AI conversation; returns its id and its public id."""
    row_id, public_id = uuid4(), uuid4().hex
    async with db.account(account_id) as conn:
        await conn.execute(
            text("INSERT INTO ai_conversations (id, account_id, conversation_id) VALUES (:id, app_account(), :public)"),
            {"id": row_id, "public": public_id},
        )
    return row_id, public_id


async def _execution(db: Database, account_id: UUID) -> Params:
    return {"execution_id": (await make_execution(db, account_id)).execution_id}


async def _execution_by_id(db: Database, account_id: UUID) -> Params:
    return {"execution_id": str((await make_execution(db, account_id)).id)}


async def _conversation(db: Database, account_id: UUID) -> Params:
    return {"conversation_id": (await make_conversation(db, account_id))[1]}


async def _conversation_by_id(db: Database, account_id: UUID) -> Params:
    return {"conversation_id": str((await make_conversation(db, account_id))[0])}


async def _workflow(db: Database, account_id: UUID) -> Params:
    return {"workflow_id": str((await make_workflow(db, account_id)).id)}


async def _nothing(_db: Database, _account_id: UUID) -> Params:
    return {}


async def _breaker_service(db: Database, account_id: UUID) -> str:
    return (await make_breaker(db, account_id)).service


async def _run_id(db: Database, account_id: UUID) -> str:
    return (await make_run(db, account_id)).run_id


async def _batch_id(db: Database, account_id: UUID) -> str:
    return (await make_batch(db, account_id)).batch_id


async def _itself(_db: Database, account_id: UUID) -> str:
    return str(account_id)


def _id_of(make: Callable[[Database, UUID], Awaitable[Row]]) -> Callable[[Database, UUID], Awaitable[str]]:
    async def find(db: Database, account_id: UUID) -> str:
        return str((await make(db, account_id)).id)

    return find


async def _agent(db: Database, account_id: UUID) -> str:
    return str(await make_agent(db, account_id))


WATCHED: Mapping[str, Callable[[Database, UUID], Awaitable[str]]] = {
    "worktree_session": _id_of(make_worktree_session),
    "ralph_loop": _id_of(make_loop),
    "circuit_breaker_service": _breaker_service,
    "circuit_breaker": _id_of(make_breaker),
    "batch_execution": _batch_id,
    "workflow_run": _run_id,
    "workflow": _id_of(make_workflow),
    "agent": _agent,
    "monitoring": _itself,
    "account": _itself,
}
"""The types of AiOrchestrationChannel whose ids belong to an account -> makes one. `system` is for nobody."""


def _orchestration(kind: str) -> Make:
    async def make(db: Database, account_id: UUID) -> Params:
        return {"type": kind, "id": await WATCHED[kind](db, account_id)}

    return make


def examples() -> Mapping[str, Make]:
    """One form of each channel."""
    return {name: made[0] for name, made in forms().items()}


def forms() -> Mapping[str, list[Make]]:
    """Every form of each channel."""
    return {
        "AiAgentExecutionChannel": [_execution, _execution_by_id],
        "AiStreamingChannel": [_execution, _execution_by_id, _conversation, _conversation_by_id],
        "AiOrchestrationChannel": [_orchestration(kind) for kind in WATCHED],
        "AiWorkflowMonitoringChannel": [_workflow, _nothing],
        "AiWorkflowOrchestrationChannel": [_nothing],
        "AiConversationsListChannel": [_nothing],
    }
