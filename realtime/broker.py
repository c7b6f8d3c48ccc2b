"""Streams of one process: who needs them, how far each was read, and every stored event once and in order.

It speaks to Redis and hands deliveries to realtime/hub.py; it knows no sockets. After a jump in offsets or a lost
connection it reads the stream's log, so that connected clients miss nothing that the log still holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime.client import ask, ask_many
from realtime.counters import Count, Counters
from realtime.errors import RealtimeUnavailableError
from realtime.keys import check_stream, live_channel, log_key, meta_key
from realtime.subscriber import Subscriber, SubscriberTiming
from realtime.tasks import cancel_all

log = structlog.stdlib.get_logger(__name__)

_PAGE: Final = 50
_PARALLEL_FILLS: Final = 16


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for whoever listens. `offset` 0 and no `epoch`: a passing one that no log holds."""

    stream: str
    epoch: str
    offset: int
    payload: bytes
    exclude_sid: str = ""


@dataclass(frozen=True, slots=True)
class BrokerTiming:
    """How patient it is, in seconds."""

    subscribe_timeout_s: float = 5.0
    linger_s: float = 3.0
    retry_s: float = 0.2
    subscriber: SubscriberTiming = field(default_factory=SubscriberTiming)


class _Stream:
    """One live stream: `epoch`/`offset` is what was delivered last, `seen` what was heard of last."""

    __slots__ = ("again", "epoch", "fill", "linger", "live", "name", "offset", "opening", "seen", "users")

    def __init__(self, name: str) -> None:
        self.name = name
        self.users = 0
        self.epoch = ""
        self.offset = 0
        self.seen: tuple[str, int] = ("", 0)
        self.live = asyncio.Event()
        self.opening: asyncio.Task[None] | None = None
        self.fill: asyncio.Task[None] | None = None
        self.again = False
        self.linger: asyncio.TimerHandle | None = None

    @property
    def behind(self) -> bool:
        epoch, offset = self.seen
        return epoch == self.epoch and offset > self.offset


class Broker:
    """Reference-counted streams over one subscriber connection. `deliver` must not wait."""

    def __init__(
        self,
        redis: Redis,
        deliver: Callable[[Delivery], None],
        *,
        counters: Counters | None = None,
        timing: BrokerTiming | None = None,
    ) -> None:
        self._redis = redis
        self._deliver = deliver
        self._counters = counters or Counters()
        self._timing = timing or BrokerTiming()
        self._streams: dict[bytes, _Stream] = {}
        self._fills = asyncio.Semaphore(_PARALLEL_FILLS)
        self._subscriber = Subscriber(
            redis, self._heard, self._subscribed, counters=self._counters, timing=self._timing.subscriber
        )

    @property
    def hearing(self) -> bool:
        """Whether live events come through."""
        return self._subscriber.hearing

    def start(self) -> None:
        """Begin to listen; Redis may come later."""
        self._subscriber.start()

    async def stop(self) -> None:
        """End all work."""
        await self._subscriber.stop()
        for state in self._streams.values():
            if state.linger is not None:
                state.linger.cancel()
        await cancel_all(task for state in self._streams.values() for task in (state.fill, state.opening))
        self._streams.clear()

    async def subscribe(self, stream: str) -> None:
        """Take one share of a stream; returns once Redis has acknowledged it, so nothing later is missed.

        Raises RealtimeUnavailableError when that takes too long; no share is held then.
        """
        channel = live_channel(check_stream(stream)).encode()
        state = self._streams.get(channel)
        if state is None:
            state = self._streams[channel] = _Stream(stream)
            state.opening = asyncio.create_task(self._open(state, channel))
        state.users += 1
        if state.linger is not None:
            state.linger.cancel()
            state.linger = None
        try:
            async with asyncio.timeout(self._timing.subscribe_timeout_s):
                # Shielded: the stream opens for all who wait, also when one of them leaves.
                await asyncio.shield(cast("asyncio.Task[None]", state.opening))
                await state.live.wait()
        except BaseException as error:
            self._release(state, channel)
            if isinstance(error, RedisError | OSError):
                raise RealtimeUnavailableError("Redis does not answer") from error
            raise

    def unsubscribe(self, stream: str) -> None:
        """Give one share back. The stream lingers a little: whoever reloads a page comes back at once."""
        channel = live_channel(stream).encode()
        state = self._streams.get(channel)
        if state is not None:
            self._release(state, channel)

    def _release(self, state: _Stream, channel: bytes) -> None:
        state.users -= 1
        if state.users > 0 or self._streams.get(channel) is not state:
            return
        if state.live.is_set():
            state.linger = asyncio.get_running_loop().call_later(self._timing.linger_s, self._drop, state, channel)
        else:
            self._drop(state, channel)

    def _drop(self, state: _Stream, channel: bytes) -> None:
        del self._streams[channel]
        self._subscriber.drop(channel)
        for task in (state.fill, state.opening):
            if task is not None:
                task.cancel()

    async def _open(self, state: _Stream, channel: bytes) -> None:
        # The position is read before the subscription: what is published in between shows as a jump and is filled.
        # Read after it, an event that still waits in the socket would count as already delivered.
        epoch, offset = cast(
            "list[bytes | None]", await ask(self._redis, "HMGET", meta_key(state.name), "epoch", "top")
        )
        state.epoch, state.offset = (epoch or b"").decode(), int(offset or 0)
        self._subscriber.want(channel)

    def _subscribed(self, channel: bytes) -> None:
        state = self._streams.get(channel)
        if state is None:
            return
        if state.live.is_set():
            self._start_fill(state)  # it was live before: the connection was lost meanwhile
        state.live.set()

    def _heard(self, channel: bytes, message: bytes) -> None:
        state = self._streams.get(channel)
        if state is None:
            return
        try:
            raw_epoch, raw_offset, exclude_sid, payload = message.split(b"|", 3)
            epoch, offset = raw_epoch.decode(), int(raw_offset)
        except ValueError:
            log.warning("realtime.foreign_message", stream=state.name)  # somebody else publishes on our channel
            return
        if offset == 0:
            self._deliver(Delivery(state.name, "", 0, payload, exclude_sid.decode()))
            return
        state.seen = (epoch, offset)
        if epoch != state.epoch:
            self._start_fill(state)
        elif state.fill is not None:
            pass  # the running fill looks at `seen` and reads this one from the log, in order
        elif offset <= state.offset:
            self._counters.add(Count.REPEATED_EVENTS)
        elif offset == state.offset + 1:
            self._advance(state, offset, payload)
        else:
            self._start_fill(state)

    def _advance(self, state: _Stream, offset: int, payload: bytes) -> None:
        if offset > state.offset + 1:
            self._counters.add(Count.MISSED_EVENTS, offset - state.offset - 1)
        state.offset = offset
        self._deliver(Delivery(state.name, state.epoch, offset, payload))

    def _start_fill(self, state: _Stream) -> None:
        state.again = True
        if state.fill is None:
            state.fill = asyncio.create_task(self._fill(state))

    async def _fill(self, state: _Stream) -> None:
        self._counters.add(Count.GAP_FILLS)
        try:
            while state.again or state.behind:
                state.again = False
                try:
                    async with self._fills:
                        caught_up = await self._read_on(state)
                except (RedisError, OSError) as error:
                    log.info("realtime.fill_waits", stream=state.name, error=type(error).__name__)
                    caught_up = False
                    await asyncio.sleep(self._timing.retry_s)
                state.again = state.again or not caught_up
        finally:
            state.fill = None

    async def _read_on(self, state: _Stream) -> bool:
        """Deliver one page of the log after the position; return whether that was all there is."""
        self._counters.add(Count.LOG_READS)
        first = f"{state.offset + 1}-0"
        meta, page = await ask_many(
            self._redis,
            [
                ("HMGET", meta_key(state.name), "epoch", "top"),
                ("XRANGE", log_key(state.name), first, "+", "COUNT", _PAGE),
            ],
            atomic=True,
        )
        raw_epoch, raw_top = cast("list[bytes | None]", meta)
        if raw_epoch is None:
            state.seen = ("", 0)  # Redis came back empty: there is nothing to catch up with
            return True
        if raw_epoch.decode() != state.epoch:
            self._enter_epoch(state, raw_epoch.decode())
            return False
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", page)
        for entry_id, fields in entries:
            self._advance(state, int(entry_id.partition(b"-")[0]), fields[b"p"])
        if len(entries) < _PAGE:
            top = int(raw_top or 0)
            if top > state.offset:  # the log has expired or was evicted
                self._counters.add(Count.MISSED_EVENTS, top - state.offset)
                state.offset = top
            return True
        return False

    def _enter_epoch(self, state: _Stream, epoch: str) -> None:
        # Without an old epoch the stream was empty when it was opened, so nothing can be lost.
        if state.epoch:
            self._counters.add(Count.EPOCH_CHANGES)
            log.warning("realtime.epoch_changed", stream=state.name)
        state.epoch, state.offset = epoch, 0
