"""What happens to each kind of thing that is watched, change by change, by the functions that the engines call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from db import batches, breakers, executions, ralph_loops, workflow_runs, workflows, worktrees
from db.breakers import Happening
from db.executions import ExecutionChange
from db.ralph_loops import Learned, TaskCounts
from db.session import Database
from db.watched import Told
from db.workflow_runs import NodeChange, RunChange
from domain.loop_views import BatchWorkflowView, WorktreeView
from domain.runs import (
    BatchStatus,
    ExecutionStatus,
    LoopStatus,
    NodeStatus,
    RunStatus,
    WorktreeSessionStatus,
    WorktreeStatus,
)
from domain.workflow_plan import WorkflowUpdates
from tests.realtime import examples_runs as made

Chapter = tuple[Told[Any], list[str]]
"""A change as it was told, and the names of the events it must tell to who watches the thing, in order."""


@dataclass(frozen=True)
class Story:
    """`begin` makes the thing and returns its key on the stream and its row id; `field`: the view's name in REST and payload."""

    kind: str
    path: str
    field: str
    begin: Callable[[Database, UUID], Any]
    go_on: Callable[[Database, UUID, UUID], AsyncIterator[Chapter]]
    key: str = "id"


async def _run(db: Database, account_id: UUID, row_id: UUID) -> AsyncIterator[Chapter]:
    async def node(name: str, status: NodeStatus, **more: Any) -> Told[Any]:
        async with db.account(account_id) as conn:
            change = NodeChange(name, "ai_agent", name.title(), status, **more)
            return await workflow_runs.change_node(conn, account_id, row_id, change)

    async def move(status: RunStatus, **more: Any) -> Told[Any]:
        async with db.account(account_id) as conn:
            return await workflow_runs.change(conn, account_id, row_id, RunChange(status, **more))

    both = ["workflow.node.execution.updated", "workflow.run.progress.changed"]
    yield await move(RunStatus.RUNNING), ["workflow.run.status.changed"]
    yield await move(RunStatus.RUNNING), []
    yield await node("first", NodeStatus.PENDING, input_data={"name": "Alice"}), both
    yield await node("first", NodeStatus.RUNNING), both
    yield await node("first", NodeStatus.COMPLETED, output_data={"said": "hi"}, cost=Decimal("0.0125")), both
    yield await node("first", NodeStatus.COMPLETED), []
    yield await node("second", NodeStatus.RUNNING), both
    yield await node("second", NodeStatus.FAILED, error_details={"message": "no model"}), both
    yield await node("second", NodeStatus.RUNNING), both
    yield await move(RunStatus.WAITING_APPROVAL), ["workflow.run.status.changed"]
    yield await move(RunStatus.RUNNING), ["workflow.run.status.changed"]
    ended = ["workflow.run.status.changed", "workflow.run.completed"]
    cancelled = ["workflow.node.execution.updated", *ended]
    yield await move(RunStatus.CANCELLED), cancelled


async def _execution(db: Database, account_id: UUID, row_id: UUID) -> AsyncIterator[Chapter]:
    failed = ExecutionChange(ExecutionStatus.FAILED, error_message="no model", tokens_used=7, cost_usd=Decimal("0.5"))
    for change, name in ((ExecutionChange(ExecutionStatus.RUNNING), "started"), (failed, "failed")):
        async with db.account(account_id) as conn:
            told = await executions.change(conn, account_id, row_id, change)
        yield told, ["status_change", f"agent.execution.{name}"]


async def _loop(db: Database, account_id: UUID, row_id: UUID) -> AsyncIterator[Chapter]:
    async def move(status: LoopStatus, error: str | None = None) -> Told[Any]:
        async with db.account(account_id) as conn:
            return await ralph_loops.change(conn, account_id, row_id, status, error=error)

    yield await move(LoopStatus.RUNNING), ["ralph_loop.started"]
    async with db.account(account_id) as conn:
        told = await ralph_loops.change_task(conn, account_id, row_id, ("t1", "passed"), TaskCounts(4, 1, 0))
    yield told, ["ralph_loop.task_status_changed"]
    async with db.account(account_id) as conn:
        learned = Learned("Tests first", 1, "t1")
        told = await ralph_loops.add_learning(conn, account_id, row_id, learned)
    yield told, ["ralph_loop.learning_added"]
    async with db.account(account_id) as conn:
        told = await ralph_loops.complete_iteration(conn, account_id, row_id, 1)
    yield told, ["ralph_loop.iteration_completed"]
    yield await move(LoopStatus.PAUSED), ["ralph_loop.paused"]
    yield await move(LoopStatus.RUNNING), ["ralph_loop.progress"]
    yield await move(LoopStatus.FAILED, "no disk"), ["ralph_loop.failed"]


async def _batch(db: Database, account_id: UUID, row_id: UUID) -> AsyncIterator[Chapter]:
    async def move(status: BatchStatus) -> Told[Any]:
        async with db.account(account_id) as conn:
            return await batches.change(conn, account_id, row_id, status)

    begun = await move(BatchStatus.RUNNING)
    yield begun, ["batch.execution.started"]
    for status, name in (("running", "started"), ("completed", "completed")):
        async with db.account(account_id) as conn:
            entry = BatchWorkflowView(workflow_id=begun.view.workflows[0].workflow_id, run_id="r", status=status)
            told = await batches.change_workflow(conn, account_id, row_id, entry)
        yield told, [f"batch.workflow.{name}", "batch.execution.progress"]
    yield await move(BatchStatus.PAUSED), ["batch.execution.paused"]
    yield await move(BatchStatus.RUNNING), ["batch.execution.resumed"]
    yield await move(BatchStatus.COMPLETED), ["batch.execution.completed"]


async def _breaker(db: Database, account_id: UUID, row_id: UUID) -> AsyncIterator[Chapter]:
    for happening, changes in (
        (Happening.FAILURE, False),
        (Happening.OPENED, True),
        (Happening.HALF_OPENED, True),
        (Happening.SUCCESS, False),
        (Happening.CLOSED, True),
        (Happening.RESET, False),
    ):
        async with db.account(account_id) as conn:
            told = await breakers.record(conn, account_id, row_id, happening)
        names = [f"circuit_breaker.{happening.value}"]
        yield told, ["circuit_breaker.state_changed", *names] if changes else names


async def _worktrees(db: Database, account_id: UUID, row_id: UUID) -> AsyncIterator[Chapter]:
    async def move(status: WorktreeSessionStatus) -> Chapter:
        async with db.account(account_id) as conn:
            told = await worktrees.change(conn, account_id, row_id, status)
        return told, ["worktree_session.status_changed", f"worktree_session.{status.value}"]

    yield await move(WorktreeSessionStatus.PROVISIONING)
    tree = uuid4()
    for status, names in (
        (WorktreeStatus.CREATING, ["worktree.created"]),
        (WorktreeStatus.READY, ["worktree.ready"]),
        (WorktreeStatus.IN_USE, ["worktree.task_started"]),
        (WorktreeStatus.MERGED, []),
    ):
        async with db.account(account_id) as conn:
            worktree = WorktreeView(id=tree, branch_name="one", status=status)
            told = await worktrees.put(conn, account_id, row_id, worktree)
        yield told, ["worktree.status_changed", *names]
    async with db.account(account_id) as conn:
        told = await worktrees.record_conflicts(conn, account_id, row_id, {"a.py": ["one", "two"]})
    yield told, ["worktree_session.conflicts_detected"]
    yield await move(WorktreeSessionStatus.ACTIVE)
    yield await move(WorktreeSessionStatus.COMPLETED)


async def _workflow(db: Database, account_id: UUID, row_id: UUID) -> AsyncIterator[Chapter]:
    for updates in (WorkflowUpdates(name="Say hello", configuration={"a": 1}), WorkflowUpdates(nodes=[], edges=[])):
        async with db.account(account_id) as conn:
            told = await workflows.change(conn, account_id, row_id, updates, None)
        yield told, ["workflow_collaborative_update"]


STORIES = (
    Story("workflow_run", "workflow_runs", "workflow_run", made.make_run, _run, "run_id"),
    Story("agent_execution", "executions", "execution", made.make_execution, _execution, "execution_id"),
    Story("ralph_loop", "ralph_loops", "ralph_loop", made.make_loop, _loop),
    Story("batch_execution", "batch_executions", "batch", made.make_batch, _batch, "batch_id"),
    Story("circuit_breaker", "circuit_breakers", "breaker", made.make_breaker, _breaker),
    Story("worktree_session", "worktree_sessions", "session", made.make_worktree_session, _worktrees),
    Story("workflow", "workflows", "workflow", made.make_workflow, _workflow),
)
