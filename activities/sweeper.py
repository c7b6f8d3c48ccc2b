"""What runs in every worker beside Temporal: the outbox's backstop, deferred messages, budgets, sockets that nobody holds,
and the worker's sign of life.

Two workers sweeping at once do no harm: dispatch takes a lock per aggregate, release and heartbeat lock their rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from activities.dispatch import Dispatcher, DispatchError
from db import budgets, connections, deferred, heartbeats, outbox
from db.outbox import Aggregate
from db.session import Database
from domain.connection import CONNECTION_WANTED
from domain.errors import UnavailableError

log = structlog.get_logger()

SWEEP_EVERY_S: Final = 1.0
BEAT_EVERY_S: Final = 5.0
FREE_EVERY_S: Final = 60.0
CONNECT_EVERY_S: Final = 15.0
AT_ONCE: Final = 16


@dataclass
class Sweeper:
    """One per worker process. `also`: what else is looked after, every `SWEEP_EVERY_S`."""

    db: Database
    dispatcher: Dispatcher
    worker_id: str
    queues: list[str]
    socket_kinds: Sequence[str]
    sweep_after: timedelta = outbox.SWEEP_AFTER
    also: Sequence[Callable[[], Awaitable[object]]] = ()
    _tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def start(self) -> None:
        """Start the background tasks."""
        self._tasks = [
            asyncio.create_task(self._repeat(self.sweep, SWEEP_EVERY_S)),
            asyncio.create_task(self._repeat(self.release, SWEEP_EVERY_S)),
            asyncio.create_task(self._repeat(self.beat, BEAT_EVERY_S)),
            asyncio.create_task(self._repeat(self.free, FREE_EVERY_S)),
            asyncio.create_task(self._repeat(self.connect, CONNECT_EVERY_S)),
            *(asyncio.create_task(self._repeat(work, SWEEP_EVERY_S)) for work in self.also),
        ]

    async def close(self) -> None:
        """Stop, and take the sign of life away."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with self.db.open() as conn:
                await heartbeats.remove(conn, self.worker_id)
        except UnavailableError:
            log.info("worker.heartbeat_left", worker_id=self.worker_id)

    async def _repeat(self, work: Callable[[], Awaitable[object]], every_s: float) -> None:
        while True:
            try:
                await work()
            except UnavailableError:
                log.warning("sweeper.database_away", work=work.__name__)
            except Exception:
                log.exception("sweeper.failed", work=work.__name__)
            await asyncio.sleep(every_s)

    async def sweep(self) -> int:
        """Dispatch what was left behind by killed or cut-off processes; returns how many rows were carried."""
        async with self.db.open() as conn:
            waiting = await outbox.waiting(conn, older_than=self.sweep_after)
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(aggregate: Aggregate) -> int:
            async with slots:
                try:
                    return await self.dispatcher.dispatch(aggregate)
                except DispatchError as error:
                    log.warning("sweeper.delayed", aggregate=aggregate.name, reason=str(error))
                    return 0

        return sum(await asyncio.gather(*(one(aggregate) for aggregate in waiting)))

    async def release(self) -> int:
        """Let deferred messages whose wait is over take their turn, in the order they came; returns how many."""
        async with self.db.open() as conn:
            due = await deferred.due(conn)
        for account_id, message_id in due:
            async with self.db.account(account_id) as conn:
                aggregate = await deferred.release(conn, account_id, message_id)
            if aggregate is not None:
                self.dispatcher.notify(aggregate)
        return len(due)

    async def free(self) -> int:
        """Give back what model requests of dead turns hold of their budgets; returns how many turns there were."""
        async with self.db.open() as conn:
            stale = await budgets.stale(conn)
        for account_id, turn_id in stale:
            await budgets.release(self.db, account_id, turn_id)
        return len(stale)

    async def connect(self) -> int:
        """Have sockets opened that should be and that nobody holds, whatever became of their workflows; returns how many."""
        async with self.db.open() as conn:
            unheld = await connections.unheld(conn, self.socket_kinds)
        for socket in unheld:
            async with self.db.account(socket.account_id) as conn:
                aggregate = await connections.tell(conn, socket, CONNECTION_WANTED)
            self.dispatcher.notify(aggregate)
        return len(unheld)

    async def beat(self) -> None:
        """Show that this worker lives."""
        async with self.db.open() as conn:
            await heartbeats.beat(conn, self.worker_id, self.queues, datetime.now(UTC))
