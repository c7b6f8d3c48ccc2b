"""One process's listening connection to Redis: it keeps the wanted channels subscribed, whatever Redis does.

It knows nothing of streams or sockets; realtime/broker.py is its only caller.
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from realtime.client import ask
from realtime.counters import Count, Counters
from realtime.tasks import cancel_all, run_until_one_ends

log = structlog.stdlib.get_logger(__name__)

_SUBSCRIBE_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class SubscriberTiming:
    """How patient it is, in seconds."""

    canary_period_s: float = 5.0
    deaf_after_s: float = 15.0
    first_backoff_s: float = 0.05
    max_backoff_s: float = 2.0


class DeafError(Exception):
    """The connection looks open, but its own canary does not come through."""


class Subscriber:
    """Listens until stopped. `on_message` and `on_subscribed` run in the reader and must not wait."""

    def __init__(
        self,
        redis: Redis,
        on_message: Callable[[bytes, bytes], None],
        on_subscribed: Callable[[bytes], None],
        *,
        counters: Counters,
        timing: SubscriberTiming | None = None,
    ) -> None:
        self._redis = redis
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._counters = counters
        self._timing = timing or SubscriberTiming()
        self._canary = f"canary:{secrets.token_hex(8)}".encode()
        self._wanted: set[bytes] = {self._canary}
        self._sent: set[bytes] = set()
        # Answers still to come, by channel: after subscribe, unsubscribe, subscribe only the last answer counts.
        self._unanswered: Counter[bytes] = Counter()
        self._changed = asyncio.Event()
        self._heard_at = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def hearing(self) -> bool:
        """Whether Redis was heard lately; a process that is deaf should take no new sockets."""
        return asyncio.get_running_loop().time() - self._heard_at <= self._timing.deaf_after_s

    def want(self, channel: bytes) -> None:
        """Subscribe soon; `on_subscribed` tells when Redis agreed, and again after each reconnect."""
        self._wanted.add(channel)
        if channel in self._sent and not self._unanswered[channel]:
            # Dropped and wanted again before the writer came to it: Redis has agreed already and says no more.
            asyncio.get_running_loop().call_soon(self._on_subscribed, channel)
        self._changed.set()

    def drop(self, channel: bytes) -> None:
        """Unsubscribe soon."""
        self._wanted.discard(channel)
        self._changed.set()

    def start(self) -> None:
        """Begin to listen; returns at once, connecting is its own business."""
        self._task = asyncio.create_task(self._run(), name="realtime-subscriber")

    async def stop(self) -> None:
        """End the connection."""
        self._stopping = True
        await cancel_all([self._task])

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            heard_before = self._heard_at
            try:
                await self._listen()
            except* (RedisError, OSError, DeafError) as errors:
                failures = 0 if self._heard_at > heard_before else failures + 1
                log.warning("realtime.redis_lost", error=type(errors.exceptions[0]).__name__, failures=failures)
            except* Exception:  # a process that stays deaf is worse than an error that comes again
                failures += 1
                log.exception("realtime.subscriber_failed")
            # Full jitter: when Redis comes back, all processes would else return in the same instant.
            ceiling = min(self._timing.max_backoff_s, self._timing.first_backoff_s * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(ceiling / 2, ceiling))

    async def _listen(self) -> None:
        connection = self._redis.connection_pool.make_connection()
        try:
            await connection.connect()
            self._counters.add(Count.REDIS_CONNECTS)
            self._heard_at = asyncio.get_running_loop().time()
            self._changed.set()
            await run_until_one_ends(self._write(connection), self._read(connection), self._listen_to_canary())
        finally:
            self._sent.clear()
            self._unanswered.clear()
            await connection.disconnect(nowait=True)

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            # Each batch is looked up anew, because wishes change while the one before is being written.
            while batch := sorted(self._wanted - self._sent)[:_SUBSCRIBE_BATCH]:
                self._sent.update(batch)
                self._unanswered.update(batch)
                await connection.send_command("SUBSCRIBE", *batch, check_health=False)
            while batch := sorted(self._sent - self._wanted)[:_SUBSCRIBE_BATCH]:
                self._sent.difference_update(batch)
                await connection.send_command("UNSUBSCRIBE", *batch, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        now = asyncio.get_running_loop().time
        while True:
            answer = cast(
                "list[bytes]",
                await connection.read_response(timeout=math.inf, disconnect_on_error=False, push_request=True),
            )
            self._heard_at = now()
            kind, channel = answer[0], answer[1]
            if kind == b"message":
                if channel != self._canary:
                    self._on_message(channel, answer[2])
            elif kind == b"subscribe":
                self._answered(channel)

    def _answered(self, channel: bytes) -> None:
        self._unanswered[channel] -= 1
        if self._unanswered[channel] <= 0:
            del self._unanswered[channel]
            if channel in self._wanted and channel != self._canary:
                self._on_subscribed(channel)

    async def _listen_to_canary(self) -> None:
        while True:
            await asyncio.sleep(self._timing.canary_period_s)
            if not self.hearing:
                self._counters.add(Count.DEAF)
                raise DeafError
            try:
                async with asyncio.timeout(self._timing.canary_period_s):
                    await ask(self._redis, "PUBLISH", self._canary, b"")
            except (RedisError, OSError) as error:
                # Not heard for long enough is what counts; the next round sees to it.
                log.info("realtime.canary_not_sent", error=type(error).__name__)
