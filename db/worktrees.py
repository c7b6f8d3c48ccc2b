"""Sessions of parallel worktrees: each change and its events in one transaction. Idempotent by the status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.loop_shelves import WORKTREE_SESSIONS
from db.outbox import Aggregate
from db.tables import worktree_sessions
from db.watched import Told, tell
from domain.events.base import Event
from domain.events.loops import WorktreeChanged, WorktreePayload, WorktreeSessionChanged, WorktreeSessionPayload
from domain.loop_views import WorktreeSessionView, WorktreeView
from domain.runs import WORKTREE_STEPS, ExecutionMode, MergeStrategy, WorktreeSessionStatus, WorktreeStatus

_CHANGED: Final = "worktree_session.status_changed"
_NAMES: Final[Mapping[WorktreeStatus, str]] = {
    WorktreeStatus.READY: "worktree.ready",
    WorktreeStatus.IN_USE: "worktree.task_started",
    WorktreeStatus.COMPLETED: "worktree.completed",
    WorktreeStatus.FAILED: "worktree.failed",
}


@dataclass(frozen=True, slots=True)
class NewWorktreeSession:
    """A session to be made."""

    repository_path: str
    base_branch: str = "main"
    merge_strategy: MergeStrategy = MergeStrategy.SEQUENTIAL
    execution_mode: ExecutionMode = ExecutionMode.COMPLEMENTARY
    max_parallel: int = 4


def aggregate_of(account_id: UUID, session_id: UUID) -> Aggregate:
    """Return a session's aggregate; its version is `worktree_sessions.version`."""
    return Aggregate(account_id, f"worktree_session:{session_id}")


async def create(conn: AsyncConnection, account_id: UUID, new: NewWorktreeSession) -> Told[WorktreeSessionView]:
    """Store a session that waits to begin."""
    session_id = uuid4()
    await conn.execute(
        insert(worktree_sessions).values(
            id=session_id,
            account_id=account_id,
            repository_path=new.repository_path,
            base_branch=new.base_branch,
            merge_strategy=new.merge_strategy.value,
            execution_mode=new.execution_mode.value,
            max_parallel=new.max_parallel,
        )
    )
    return await _tell(conn, account_id, session_id, [_CHANGED])


async def change(
    conn: AsyncConnection,
    account_id: UUID,
    session_id: UUID,
    status: WorktreeSessionStatus,
    *,
    error: str | None = None,
) -> Told[WorktreeSessionView]:
    """Move a session to a status. Raises NotFoundError, ConflictError when no step leads there."""
    values = {"error_message": error} if error else {}
    if not await WORKTREE_SESSIONS.step(conn, session_id, status, WORKTREE_STEPS, values):
        return Told((await WORKTREE_SESSIONS.now(conn, session_id))[0], ())
    return await _tell(conn, account_id, session_id, [_CHANGED, f"worktree_session.{status.value}"])


async def record_conflicts(
    conn: AsyncConnection, account_id: UUID, session_id: UUID, matrix: Mapping[str, object]
) -> Told[WorktreeSessionView]:
    """Keep which worktrees change the same files. Raises NotFoundError."""
    await WORKTREE_SESSIONS.change(conn, session_id, {"conflict_matrix": dict(matrix)})
    return await _tell(conn, account_id, session_id, ["worktree_session.conflicts_detected"])


async def put(
    conn: AsyncConnection, account_id: UUID, session_id: UUID, worktree: WorktreeView
) -> Told[WorktreeSessionView]:
    """Add a worktree to a session, or say how one of it stands; the same again changes nothing. Raises NotFoundError."""
    worktrees: list[dict[str, Any]] = list((await WORKTREE_SESSIONS.lock(conn, session_id))["worktrees"])
    entry = worktree.model_dump(mode="json")
    places = [place for place, one in enumerate(worktrees) if one["id"] == entry["id"]]
    before = worktrees[places[0]] if places else None
    if before == entry:
        return Told((await WORKTREE_SESSIONS.now(conn, session_id))[0], ())
    if places:
        worktrees[places[0]] = entry
    else:
        worktrees.append(entry)
    await WORKTREE_SESSIONS.change(conn, session_id, {"worktrees": worktrees})
    names = ["worktree.status_changed"] + ([] if before else ["worktree.created"])
    if worktree.status in _NAMES and (before is None or before["status"] != entry["status"]):
        names.append(_NAMES[worktree.status])
    return await _tell(conn, account_id, session_id, names, worktree)


async def _tell(
    conn: AsyncConnection, account_id: UUID, session_id: UUID, names: list[Any], worktree: WorktreeView | None = None
) -> Told[WorktreeSessionView]:
    view, at = await WORKTREE_SESSIONS.now(conn, session_id)
    head: dict[str, Any] = {"account_id": account_id, "timestamp": at, "resource_id": str(view.id)}
    events: list[Event] = []
    for name in names:
        if worktree is None:
            payload = WorktreeSessionPayload(status=view.status, session=view)
            events.append(WorktreeSessionChanged(**head, event=name, payload=payload))
        else:
            about = WorktreePayload(status=view.status, session=view, worktree=worktree)
            events.append(WorktreeChanged(**head, event=name, payload=about))
    return Told(view, (await tell(conn, aggregate_of(account_id, session_id), view.version, events),))
