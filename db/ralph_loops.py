"""Ralph loops: each change and its events in one transaction. The workflow that runs a loop calls these.

Idempotent where it says so; tasks and iterations are told of by name, and the loop's counts are the caller's to give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import func, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.loop_shelves import RALPH_LOOPS
from db.outbox import Aggregate
from db.tables import ai_ralph_loops
from db.watched import Told, tell
from domain.errors import InvalidInputError, NotFoundError
from domain.events.base import Event
from domain.events.loops import (
    LoopFailedPayload,
    LoopIterationPayload,
    LoopLearningPayload,
    LoopPayload,
    LoopTaskPayload,
    RalphLoopChanged,
    RalphLoopFailed,
    RalphLoopIterationCompleted,
    RalphLoopLearningAdded,
    RalphLoopTaskStatusChanged,
    loop_progress,
)
from domain.loop_views import LearningContextView, LearningView, RalphLoopView
from domain.runs import LOOP_STEPS, LoopStatus, SchedulingMode

_AGENT: Final = text("SELECT 1 FROM ai_agents WHERE id = :id")
_Shape = Callable[[RalphLoopView, dict[str, Any], datetime], Event]


@dataclass(frozen=True, slots=True)
class NewLoop:
    """A loop to be made."""

    name: str
    default_agent_id: UUID | None = None
    scheduling_mode: SchedulingMode = SchedulingMode.MANUAL
    max_iterations: int = 100
    total_tasks: int = 0


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks a loop has, and how many of them passed or failed."""

    total: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Learned:
    """What an iteration learned, from which task."""

    text: str
    iteration: int
    task_key: str | None = None


def aggregate_of(account_id: UUID, loop_id: UUID) -> Aggregate:
    """Return a loop's aggregate; its version is `ai_ralph_loops.version`."""
    return Aggregate(account_id, f"ralph_loop:{loop_id}")


async def create(conn: AsyncConnection, account_id: UUID, new: NewLoop) -> Told[RalphLoopView]:
    """Store a loop that waits to begin. Raises NotFoundError for an agent that the account has not."""
    agent = new.default_agent_id
    if agent is not None and (await conn.execute(_AGENT, {"id": agent})).first() is None:
        raise NotFoundError("No such agent")
    loop_id = uuid4()
    await conn.execute(
        insert(ai_ralph_loops).values(
            id=loop_id,
            account_id=account_id,
            name=new.name,
            default_agent_id=agent,
            scheduling_mode=new.scheduling_mode.value,
            max_iterations=new.max_iterations,
            total_tasks=new.total_tasks,
        )
    )
    return await _tell(conn, account_id, loop_id, _changed(account_id, "ralph_loop.progress"))


async def change(
    conn: AsyncConnection, account_id: UUID, loop_id: UUID, status: LoopStatus, *, error: str | None = None
) -> Told[RalphLoopView]:
    """Move a loop to a status; one that goes on after a pause tells `progress`. Idempotent by the status.

    Raises NotFoundError, ConflictError when no step leads there, InvalidInputError for a failure without a reason.
    """
    if status is LoopStatus.FAILED and not error:
        raise InvalidInputError("A loop that failed says why")
    before = await RALPH_LOOPS.lock(conn, loop_id)
    values = {"error_message": error} if error else {}
    if not await RALPH_LOOPS.step(conn, loop_id, status, LOOP_STEPS, values):
        return Told((await RALPH_LOOPS.now(conn, loop_id))[0], ())
    if status is LoopStatus.FAILED:
        return await _tell(conn, account_id, loop_id, _failed(account_id, error or ""))
    resumed = before["status"] == LoopStatus.PAUSED and status is LoopStatus.RUNNING
    name = "progress" if resumed else "started" if status is LoopStatus.RUNNING else status.value
    return await _tell(conn, account_id, loop_id, _changed(account_id, f"ralph_loop.{name}"))


async def complete_iteration(
    conn: AsyncConnection, account_id: UUID, loop_id: UUID, number: int
) -> Told[RalphLoopView]:
    """Tell that an iteration ended; the loop's own number only rises. Raises NotFoundError."""
    raised = func.greatest(ai_ralph_loops.c.current_iteration, number)
    daily = ai_ralph_loops.c.daily_iteration_count + 1
    await RALPH_LOOPS.change(conn, loop_id, {"current_iteration": raised, "daily_iteration_count": daily})

    def shape(view: RalphLoopView, base: dict[str, Any], at: datetime) -> Event:
        payload = LoopIterationPayload(**base, iteration_number=number)
        return RalphLoopIterationCompleted(
            account_id=account_id, timestamp=at, resource_id=str(view.id), payload=payload
        )

    return await _tell(conn, account_id, loop_id, shape)


async def change_task(
    conn: AsyncConnection, account_id: UUID, loop_id: UUID, task: tuple[str, str], counts: TaskCounts
) -> Told[RalphLoopView]:
    """Tell that a task is in a status (`task`: id, status), with the loop's counts after it. Raises NotFoundError."""
    values = {"total_tasks": counts.total, "completed_tasks": counts.completed, "failed_tasks": counts.failed}
    await RALPH_LOOPS.change(conn, loop_id, values)

    def shape(view: RalphLoopView, base: dict[str, Any], at: datetime) -> Event:
        payload = LoopTaskPayload(**base, task_id=task[0], task_status=task[1])
        return RalphLoopTaskStatusChanged(
            account_id=account_id, timestamp=at, resource_id=str(view.id), payload=payload
        )

    return await _tell(conn, account_id, loop_id, shape)


async def add_learning(conn: AsyncConnection, account_id: UUID, loop_id: UUID, learned: Learned) -> Told[RalphLoopView]:
    """Keep what an iteration learned. Raises NotFoundError."""
    await RALPH_LOOPS.lock(conn, loop_id)
    _, at = await RALPH_LOOPS.now(conn, loop_id)
    entry = LearningView(
        text=learned.text,
        iteration=learned.iteration,
        timestamp=at,
        context=LearningContextView(iteration=learned.iteration, task_key=learned.task_key),
    )
    kept = ai_ralph_loops.c.learnings.op("||")([entry.model_dump(mode="json")])
    await RALPH_LOOPS.change(conn, loop_id, {"learnings": kept})

    def shape(view: RalphLoopView, base: dict[str, Any], at: datetime) -> Event:
        payload = LoopLearningPayload(**base, learning=entry)
        return RalphLoopLearningAdded(account_id=account_id, timestamp=at, resource_id=str(view.id), payload=payload)

    return await _tell(conn, account_id, loop_id, shape)


def _changed(account_id: UUID, name: Any) -> _Shape:
    def shape(view: RalphLoopView, base: dict[str, Any], at: datetime) -> Event:
        payload = LoopPayload(**base)
        return RalphLoopChanged(
            account_id=account_id, timestamp=at, event=name, resource_id=str(view.id), payload=payload
        )

    return shape


def _failed(account_id: UUID, error: str) -> _Shape:
    def shape(view: RalphLoopView, base: dict[str, Any], at: datetime) -> Event:
        payload = LoopFailedPayload(**base, error_message=error)
        return RalphLoopFailed(account_id=account_id, timestamp=at, resource_id=str(view.id), payload=payload)

    return shape


async def _tell(conn: AsyncConnection, account_id: UUID, loop_id: UUID, shape: _Shape) -> Told[RalphLoopView]:
    view, at = await RALPH_LOOPS.now(conn, loop_id)
    event = shape(view, loop_progress(view), at)
    return Told(view, (await tell(conn, aggregate_of(account_id, loop_id), view.version, [event]),))
