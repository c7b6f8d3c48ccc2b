"""What a session's workflow asks of Postgres. Short, idempotent database work: runs as local activities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from temporalio import activity

from activities.dispatch import Dispatcher
from activities.queues import TaskQueues
from db import approvals, sessions, turns
from db.session import Database
from domain.work import SessionPlan, SessionRef, TurnInput


@dataclass(frozen=True)
class SessionSeen:
    """A session and the last arrival that the caller knows of."""

    ref: SessionRef
    seen: int


@dataclass
class SessionActivities:
    """Session rows, for workflows/session.py."""

    db: Database
    dispatcher: Dispatcher
    queues: TaskQueues
    default_times: tuple[float, float] = sessions.DEFAULT_TIMES
    history_cap: int = SessionPlan.history_cap
    file_wait_s: float = SessionPlan.file_wait_s

    @activity.defn
    async def load_session(self, ref: SessionRef) -> SessionPlan | None:
        """Return where the session stands and what waits in it; None when it is gone. Local, 5 s, retried."""
        async with self.db.account(UUID(ref.account_id)) as conn:
            plan = await sessions.load_plan(conn, UUID(ref.session_id), defaults=self.default_times)
        if plan is None:
            return None
        queues = self.queues
        return replace(
            plan,
            turns_queue=queues.turns,
            delivery_queue=queues.delivery(ref.platform),
            history_cap=self.history_cap,
            file_wait_s=self.file_wait_s,
        )

    @activity.defn
    async def mark_session_idle(self, request: SessionSeen) -> bool:
        """Make the session idle unless something arrived; False when it did. Idempotent by compare-and-set."""
        async with self.db.account(UUID(request.ref.account_id)) as conn:
            aggregate = await sessions.mark_idle(conn, UUID(request.ref.session_id), request.seen)
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
        return aggregate is not None

    @activity.defn
    async def close_session(self, request: SessionSeen) -> bool:
        """Close the session unless something arrived; False when it did. Idempotent by compare-and-set."""
        async with self.db.account(UUID(request.ref.account_id)) as conn:
            aggregate = await sessions.close(conn, UUID(request.ref.session_id), request.seen, "inactivity")
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
        return aggregate is not None

    @activity.defn
    async def supersede_turn(self, turn: TurnInput) -> None:
        """Mark an interrupted turn: its steps stay readable, its reply is never recorded."""
        async with self.db.account(UUID(turn.ref.account_id)) as conn:
            await turns.finish(conn, UUID(turn.turn_id), "superseded", "a newer message interrupted it")
            aggregate = await approvals.cancel_all(
                conn, UUID(turn.ref.session_id), "a newer message interrupted the turn"
            )
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
