"""Carries outbox rows to Temporal (signal-with-start) and Redis (publish). Runs in every api and worker process.

Who commits calls `notify` and goes on: the dispatch happens in the background, at once. What is lost with a killed
process, or could not be carried out, is found by the sweeper in the worker. Rows of one aggregate leave in order
under an advisory lock; everything is carried at least once and does no harm twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final

import orjson
import structlog
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from db import outbox
from db.approvals import APPROVAL_RESOLVED
from db.outbox import Aggregate, OutboxRow
from db.session import Database
from domain.connection import (
    CONNECTION_CHANGED,
    CONNECTION_WANTED,
    CONNECTION_WORKFLOW,
    ChannelRef,
    connection_workflow_id,
)
from domain.errors import UnavailableError
from domain.media import MEDIA_WANTED, MEDIA_WORKFLOW, MediaRef, media_workflow_id
from domain.work import (
    SESSION_WORKFLOW,
    Arrival,
    Recorded,
    SessionRef,
    SessionState,
    attribute_values,
    session_workflow_id,
)
from realtime.publish import MAX_EVENT_BYTES, Publication, Publisher

log = structlog.get_logger()

QUEUE_LIMIT: Final = 5_000
CONCURRENCY: Final = 16
SEND_TIMEOUT_S: Final = 2.0
MOMENT_S: Final = 0.005
"""For what several transactions of one step write: the parts of a reply that end together."""
UNTIL_SENT_S: Final = 0.2
"""How long a recorded reply's events may wait for the outcome of its first attempt, to leave with it."""
RETRIES_WHEN_LOCKED: Final = 5
TASK_TIMEOUT: Final = timedelta(seconds=5)


class DispatchError(Exception):
    """A row could not be carried out now; it stays in the outbox."""


def search_attributes(values: Mapping[str, str]) -> TypedSearchAttributes:
    """Return the attributes by which an operator finds a workflow."""
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items()]
    )


def _signal_argument(name: str, rows: Sequence[OutboxRow]) -> object:
    """Return one argument for all rows of one signal: what waits in a busy session is told in one call."""
    told = [(orjson.loads(row.data), row.trace_id) for row in rows]
    if name == "message_received":
        return [
            Arrival(data["arrival_no"], data["order_key"], data["message_id"], trace, bool(data.get("files")))
            for data, trace in told
        ]
    if name == "deliver_recorded":
        return [Recorded(data["message_id"], data["generation"], trace) for data, trace in told]
    return max(int(data["version"]) for data, _ in told)


@dataclass(frozen=True, slots=True)
class _Target:
    """A workflow that is started by its first signal."""

    workflow: str
    argument: object
    id: str
    attributes: Mapping[str, str]
    summary: str
    details: str


def _session(account_id: str, data: Mapping[str, str]) -> _Target:
    ref = SessionRef(account_id, data["session_id"], data["channel_id"], data["platform"])
    return _Target(
        SESSION_WORKFLOW,
        SessionState(ref),
        session_workflow_id(ref.session_id),
        attribute_values(ref),
        f"Chat session on {ref.platform}",
        f"Channel `{ref.channel_id}`, session `{ref.session_id}`",
    )


def _connection(account_id: str, data: Mapping[str, str]) -> _Target:
    ref = ChannelRef(account_id, data["channel_id"], data["platform"])
    return _Target(
        CONNECTION_WORKFLOW,
        ref,
        connection_workflow_id(ref.channel_id),
        ref.attributes(),
        f"Socket of a channel on {ref.platform}",
        f"Channel `{ref.channel_id}`",
    )


def _media(account_id: str, row: OutboxRow) -> _Target:
    data = orjson.loads(row.data)
    ref = SessionRef(account_id, data["session_id"], data["channel_id"], data["platform"])
    media = MediaRef(ref, data["message_id"], row.trace_id)
    return _Target(
        MEDIA_WORKFLOW,
        media,
        media_workflow_id(media.message_id),
        attribute_values(ref, row.trace_id),
        f"Files of a message on {ref.platform}",
        f"Session `{ref.session_id}`, message `{media.message_id}`",
    )


async def _tell_turns(client: Client, rows: Sequence[OutboxRow]) -> None:
    """Tell turns which of their tool calls were decided. One that has ended needs to know nothing."""
    for data in (orjson.loads(row.data) for row in rows):
        try:
            await client.get_workflow_handle(data["workflow_id"]).signal(APPROVAL_RESOLVED, [data["step"]])
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


class Dispatcher:
    """One per process. `temporal` gives the client, or None while there is none."""

    def __init__(
        self, db: Database, temporal: Callable[[], Client | None], publisher: Publisher, *, task_queue: str
    ) -> None:
        self._db = db
        self._temporal = temporal
        self._publisher = publisher
        self._task_queue = task_queue
        self._queue: asyncio.Queue[Aggregate] = asyncio.Queue(QUEUE_LIMIT)
        self._queued: set[Aggregate] = set()
        self._timers: dict[Aggregate, asyncio.TimerHandle] = {}
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the background tasks."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(CONCURRENCY)]

    async def close(self) -> None:
        """Stop at once: what is left is in the outbox."""
        for timer in self._timers.values():
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def notify(self, aggregate: Aggregate) -> None:
        """Say that an aggregate has rows. Never blocks; when the queue is full the sweeper takes over."""
        if aggregate in self._queued or self._queue.full():
            return
        self._queued.add(aggregate)
        self._queue.put_nowait(aggregate)

    def notify_within(self, aggregate: Aggregate, seconds: float) -> None:
        """Say that an aggregate has events and no signal: they may wait for those that are about to follow.

        The earliest of several such calls counts, so that what belongs together leaves together.
        """
        loop = asyncio.get_running_loop()
        timer = self._timers.get(aggregate)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[aggregate] = loop.call_later(seconds, self._now, aggregate)

    def _now(self, aggregate: Aggregate) -> None:
        self._timers.pop(aggregate, None)
        self.notify(aggregate)

    async def _work(self) -> None:
        while True:
            aggregate = await self._queue.get()
            # Taken out before the rows are read: what commits from here on queues the aggregate anew.
            self._queued.discard(aggregate)
            try:
                await self.dispatch(aggregate)
            except (DispatchError, UnavailableError) as error:
                log.warning("dispatch.delayed", aggregate=aggregate.name, reason=str(error))
            except Exception:
                log.exception("dispatch.failed", aggregate=aggregate.name)

    async def dispatch(self, aggregate: Aggregate) -> int:
        """Carry out all rows of an aggregate; returns how many. Raises DispatchError, UnavailableError."""
        for attempt in range(RETRIES_WHEN_LOCKED):
            carried = await self._carry(aggregate)
            if carried is not None:
                return carried
            # Another process is sending this aggregate's rows and may have read them before ours were committed.
            await asyncio.sleep(0.01 * 2**attempt)
        return 0

    async def _carry(self, aggregate: Aggregate) -> int | None:
        async with outbox.taken(self._db, aggregate) as rows:
            if not rows:
                return None if rows is None else 0
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._send(aggregate, rows)
            except TimeoutError as error:
                raise DispatchError("Temporal or Redis took too long") from error
            return len(rows)

    async def _send(self, aggregate: Aggregate, rows: Sequence[OutboxRow]) -> None:
        signals = [row for row in rows if row.kind == "signal"]
        events = [row for row in rows if row.kind == "event"]
        jobs: list[Awaitable[None]] = []
        if signals:
            jobs.append(self._signal(aggregate, signals))
        if events:
            jobs.append(self._publish(events))
        failures = [result for result in await asyncio.gather(*jobs, return_exceptions=True) if result is not None]
        if failures:
            raise DispatchError(str(failures[0]) or type(failures[0]).__name__) from failures[0]

    async def _publish(self, rows: Sequence[OutboxRow]) -> None:
        items = [Publication(stream, str(row.id), row.data.encode()) for row in rows for stream in row.streams]
        for item in items:
            if len(item.payload) > MAX_EVENT_BYTES:
                # Kept back for ever it would hold up the stream; its readers find the state over REST.
                log.error("dispatch.event_too_large", stream=item.stream, event_id=item.event_id)
        await self._publisher.publish_many([item for item in items if len(item.payload) <= MAX_EVENT_BYTES])

    async def _signal(self, aggregate: Aggregate, rows: Sequence[OutboxRow]) -> None:
        client = self._temporal()
        if client is None:
            raise DispatchError("Temporal is not connected")
        for name, group in groupby(rows, key=attrgetter("name")):
            same = list(group)
            if name == APPROVAL_RESOLVED:
                await _tell_turns(client, same)
                continue
            if name == MEDIA_WANTED:
                for row in same:
                    await self._begin(client, _media(str(aggregate.account_id), row))
                continue
            target = _connection if name in {CONNECTION_WANTED, CONNECTION_CHANGED} else _session
            await self._start(client, target(str(aggregate.account_id), orjson.loads(same[0].data)), name, same)

    async def _begin(self, client: Client, target: _Target) -> None:
        """Start a workflow that no signal begins; one that was started before is left as it is."""
        with suppress(WorkflowAlreadyStartedError):
            await client.start_workflow(
                target.workflow,
                target.argument,
                id=target.id,
                task_queue=self._task_queue,
                task_timeout=TASK_TIMEOUT,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=search_attributes(target.attributes),
                static_summary=target.summary,
                static_details=target.details,
            )

    async def _start(self, client: Client, target: _Target, name: str, rows: Sequence[OutboxRow]) -> None:
        """Signal a workflow, and start it where it does not run."""
        await client.start_workflow(
            target.workflow,
            target.argument,
            id=target.id,
            task_queue=self._task_queue,
            task_timeout=TASK_TIMEOUT,
            start_signal=name,
            start_signal_args=[_signal_argument(name, rows)],
            search_attributes=search_attributes(target.attributes),
            static_summary=target.summary,
            static_details=target.details,
        )
