"""Streams of one process: who needs them, how far each was read, and every stored event once and in order.

It speaks to Redis and hands deliveries to realtime/hub.py; it knows no sockets. After a jump in offsets or a lost
connection it reads the stream's log, so that connected clients miss nothing that the log still holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime.backlog import MAX_ENTRIES, Entry, HistoryRequest, Page, Position, read_log
from realtime.counters import Count, Counters
from realtime.errors import RealtimeUnavailableError
from realtime.keys import check_stream, live_channel
from realtime.streams import Delivery, LiveStream
from realtime.subscriber import Subscriber, SubscriberTiming
from realtime.tasks import cancel_all

log = structlog.stdlib.get_logger(__name__)

PRESENCE_MARK: Final = b"!"
"""What a message about who is present begins with on a stream's channel."""
_PAGE: Final = 50
_PARALLEL_FILLS: Final = 16


@dataclass(frozen=True, slots=True)
class BrokerTiming:
    """How patient it is, in seconds."""

    subscribe_timeout_s: float = 5.0
    linger_s: float = 3.0
    retry_s: float = 0.2
    subscriber: SubscriberTiming = field(default_factory=SubscriberTiming)


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
        self._streams: dict[bytes, LiveStream] = {}
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
        await cancel_all(task for state in self._streams.values() for task in state.tasks)
        self._streams.clear()

    async def subscribe(self, stream: str) -> None:
        """Take one share of a stream; returns once Redis has acknowledged it, so nothing later is missed.

        Raises RealtimeUnavailableError when that takes too long; no share is held then.
        """
        channel = live_channel(check_stream(stream)).encode()
        state = self._streams.get(channel)
        if state is None:
            state = self._streams[channel] = LiveStream(stream)
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

    def place(self, stream: str) -> Position:
        """Return how far a subscribed stream was delivered; no epoch while nothing has ever happened in it."""
        state = self._streams[live_channel(stream).encode()]
        return Position(state.epoch, state.offset)

    def _release(self, state: LiveStream, channel: bytes) -> None:
        state.users -= 1
        if state.users > 0 or self._streams.get(channel) is not state:
            return
        if state.live.is_set():
            state.linger = asyncio.get_running_loop().call_later(self._timing.linger_s, self._drop, state, channel)
        else:
            self._drop(state, channel)

    def _drop(self, state: LiveStream, channel: bytes) -> None:
        del self._streams[channel]
        self._subscriber.drop(channel)
        for task in state.tasks:
            task.cancel()

    async def _open(self, state: LiveStream, channel: bytes) -> None:
        # The position is read before the subscription: what is published in between shows as a jump and is filled.
        # Read after it, an event that still waits in the socket would count as already delivered.
        page = await read_log(self._redis, state.name, count=0)
        state.epoch, state.offset = page.epoch, page.top
        state.ring.floor = page.top
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
        if message[:1] == PRESENCE_MARK:
            self._deliver(Delivery(state.name, "", 0, message[1:], present=True))
            return
        try:
            raw_epoch, raw_offset, raw_at, exclude_sid, payload = message.split(b"|", 4)
            epoch, offset, at_ms = raw_epoch.decode(), int(raw_offset), int(raw_at or 0)
        except ValueError:
            log.warning("realtime.foreign_message", stream=state.name)  # somebody else publishes on our channel
            return
        if offset == 0:
            self._deliver(Delivery(state.name, "", 0, payload, exclude_sid.decode()))
            return
        state.seen = (epoch, offset)
        if not state.epoch and offset == 1 and state.fill is None:
            self._enter_epoch(state, epoch)  # the first event of a stream that was empty: nothing can be missing
        if epoch != state.epoch:
            self._start_fill(state)
        elif state.fill is not None:
            pass  # the running fill looks at `seen` and reads this one from the log, in order
        elif offset <= state.offset:
            self._counters.add(Count.REPEATED_EVENTS)
        elif offset == state.offset + 1:
            self._advance(state, Entry(offset, at_ms, payload, exclude_sid.decode()))
            self._counters.lag.add(time.time() - at_ms / 1000)
        else:
            self._start_fill(state)

    def _advance(self, state: LiveStream, entry: Entry) -> None:
        missed = entry.offset - state.offset - 1
        if missed:
            self._counters.add(Count.MISSED_EVENTS, missed)
            state.ring.restart(entry.offset - 1, entry.at_ms)
        state.offset = entry.offset
        state.ring.append(entry)
        self._deliver(Delivery(state.name, state.epoch, entry.offset, entry.payload, entry.exclude_sid))

    def _start_fill(self, state: LiveStream) -> asyncio.Task[None]:
        state.again = True
        if state.fill is None:
            state.fill = asyncio.create_task(self._fill(state))
        return state.fill

    async def _fill(self, state: LiveStream) -> None:
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

    async def _read_on(self, state: LiveStream) -> bool:
        """Deliver one page of the log after the position; return whether that was all there is."""
        page = await self._read(state, after=state.offset, count=_PAGE)
        if page.epoch != state.epoch:
            self._enter_epoch(state, page.epoch)
            return not page.epoch  # without one, Redis came back empty: there is nothing to catch up with
        for entry in page.entries:
            self._advance(state, entry)
        if len(page.entries) < _PAGE:
            if page.top > state.offset:  # the log has expired or was evicted
                self._counters.add(Count.MISSED_EVENTS, page.top - state.offset)
                state.offset = page.top
                state.ring.restart(page.top, _now_ms())
            return True
        return False

    async def _read(self, state: LiveStream, *, after: int = 0, count: int) -> Page:
        self._counters.add(Count.LOG_READS)
        return await read_log(self._redis, state.name, after=after, count=count)

    def _enter_epoch(self, state: LiveStream, epoch: str) -> None:
        if state.reset(epoch, _now_ms()):
            self._counters.add(Count.EPOCH_CHANGES)
            log.warning("realtime.epoch_changed", stream=state.name)
        if not epoch:
            state.seen = ("", 0)

    async def catch_up(self, streams: Sequence[str], wanted: HistoryRequest) -> None:
        """Make ready what `backlog` needs; the streams must be subscribed. One read a stream, however many wait for it.

        Raises RealtimeUnavailableError when Redis does not answer.
        """
        for stream in streams:
            state = self._streams[live_channel(stream).encode()]
            position = wanted.streams.get(stream)
            if position is not None and not state.ahead_of(position):
                # Another process may have told the client of events that are still on their way to us.
                await asyncio.shield(self._start_fill(state))
            if not state.ring.filled and wanted.covers(stream):
                if state.loading is None:
                    state.loading = asyncio.create_task(self._load(state))
                try:
                    await asyncio.shield(state.loading)
                except (RedisError, OSError) as error:
                    raise RealtimeUnavailableError("Redis does not answer") from error

    def backlog(self, streams: Sequence[str], wanted: HistoryRequest) -> list[Delivery] | None:
        """Return what is missing up to what was delivered so far, stream by stream; None when that cannot be had."""
        now_s = time.time()
        found: list[Delivery] = []
        for stream in streams:
            part = self._streams[live_channel(stream).encode()].backlog(wanted, now_s)
            if part is None:
                return None
            found += part
        return found

    async def _load(self, state: LiveStream) -> None:
        """Fill the ring. It records meanwhile, so what is read and what is heard meet without a hole."""
        try:
            while not state.ring.filled:
                state.ring.recording = True
                page = await self._read(state, count=-MAX_ENTRIES)
                if page.epoch == state.epoch:
                    state.ring.fill(page, _now_ms())
                else:
                    await asyncio.shield(self._start_fill(state))
        finally:
            state.loading = None


def _now_ms() -> int:
    return int(time.time() * 1000)
