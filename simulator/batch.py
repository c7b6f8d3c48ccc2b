"""Many messages from the simulator's side: made in platform order, delivered shuffled or at a rate, and counted.

Load for benches and ordering tests without a client's own loop. Shuffled deliveries leave Telegram's per-chat queue, which
would restore their order. Called by control.py.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time

from pydantic import BaseModel, ConfigDict

from simulator.channel import Channel
from simulator.people import act
from simulator.records import Delivery, Json
from simulator.state import World
from simulator.webhooks import Courier
from simulator.wish import Say


class BatchInput(BaseModel):
    """What to send: `messages` as they are, or `count` made from `text` over `people` persons.

    In `text`, {i} is the message's number from 0 and {person} who writes it.
    """

    model_config = ConfigDict(extra="forbid")

    channel: str | None = None
    token: str | None = None
    platform: str | None = None
    messages: list[Say] = []
    count: int = 0
    people: int = 1
    person_prefix: str = "person-"
    text: str = "message {i} of {person}"
    begins_at: float | None = None
    """Platform time of the first message; None is now."""
    spacing_s: float = 0.001
    """Platform time between two messages."""
    shuffle: bool = False
    seed: int = 0
    rate_per_s: float | None = None
    concurrency: int = 50
    copies: int = 1


class Batch:
    """One batch under way."""

    def __init__(self, number: int, total: int) -> None:
        self.id = f"batch-{number}"
        self.total = total
        self.sent = 0
        self.acked = 0
        self.refused = 0
        self.settled = 0
        self.sent_ids: list[str] = []
        self.latencies_ms: list[float] = []
        self.begun = time.monotonic()
        self.ended: float | None = None
        self.done = False

    def report(self) -> Json:
        """Return the progress. `acked` and `refused` count first attempts; `settled` whole deliveries."""
        ordered = sorted(self.latencies_ms)
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
        latency = (
            {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in shares.items()}
            if ordered
            else {}
        )
        return {
            "batch": self.id,
            "total": self.total,
            "sent": self.sent,
            "acked": self.acked,
            "refused": self.refused,
            "settled": self.settled,
            "done": self.done,
            "seconds": (self.ended or time.monotonic()) - self.begun,
            "ack_ms": latency,
            "message_ids": self.sent_ids,
        }


class Batches:
    """All batches since the last reset."""

    def __init__(self, world: World, courier: Courier) -> None:
        self._world = world
        self._courier = courier
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self.known: dict[str, Batch] = {}

    def begin(self, channel: Channel, wanted: BatchInput, origin: str) -> Batch:
        """Make all messages in platform order, then deliver them in the background."""
        says = wanted.messages or _made(wanted)
        deliveries: list[list[Delivery]] = []
        batch = Batch(next(self._numbers), len(says))
        for say in says:
            done = act(self._world, channel, say, origin)
            if done.message is not None:
                batch.sent_ids.append(done.message.id)
            deliveries.append(done.deliveries)
        if wanted.shuffle:
            random.Random(wanted.seed).shuffle(deliveries)
        for delivery in itertools.chain.from_iterable(deliveries):
            delivery.copies = wanted.copies
            if wanted.shuffle:
                delivery.queue = None
        self.known[batch.id] = batch
        task = asyncio.create_task(self._run(batch, deliveries, wanted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return batch

    async def forget(self) -> None:
        """Stop all batches."""
        stopped = list(self._tasks)
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)
        self.known.clear()

    async def _run(self, batch: Batch, deliveries: list[list[Delivery]], wanted: BatchInput) -> None:
        places = asyncio.Semaphore(wanted.concurrency)
        async with asyncio.TaskGroup() as group:
            for index, item in enumerate(deliveries):
                if wanted.rate_per_s:
                    await asyncio.sleep(max(0.0, batch.begun + index / wanted.rate_per_s - time.monotonic()))
                await places.acquire()
                group.create_task(self._deliver(batch, item, places))
        batch.done, batch.ended = True, time.monotonic()
        self._world.changes.bump()

    async def _deliver(self, batch: Batch, deliveries: list[Delivery], places: asyncio.Semaphore) -> None:
        begun = time.monotonic()
        jobs = [self._courier.send(delivery) for delivery in deliveries]
        batch.sent += 1
        statuses = [status for job in jobs for status in await job.first]
        places.release()
        batch.latencies_ms.append((time.monotonic() - begun) * 1000)
        accepted = all(200 <= status < 300 for status in statuses)
        batch.acked += accepted
        batch.refused += not accepted
        for job in jobs:
            await job.settled.wait()
        batch.settled += 1


def _made(wanted: BatchInput) -> list[Say]:
    begins_at = wanted.begins_at or time.time()
    says: list[Say] = []
    for index in range(wanted.count):
        person = f"{wanted.person_prefix}{index % wanted.people}"
        text = wanted.text.replace("{i}", str(index)).replace("{person}", person)
        says.append(Say.model_validate({"as": person, "text": text, "at": begins_at + index * wanted.spacing_s}))
    return says
