"""Stream -> sockets of this process: fan-out, the shared ping wheel, remote control, draining.

api/app.py builds one a process, starts it, mounts `server.cable_app` on it and drains it before shutdown.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, cast

import orjson
import structlog
from redis.asyncio import Redis

from realtime import protocol
from realtime.broker import Broker, BrokerTiming
from realtime.channel import AnyChannel, Resources, discover
from realtime.connection import GOING_AWAY, Connection, ConnectionLimits
from realtime.counters import Count, Counters
from realtime.errors import RealtimeUnavailableError
from realtime.identity import Identity
from realtime.publish import Publisher
from realtime.streams import Delivery
from realtime.tasks import cancel_all

log = structlog.stdlib.get_logger(__name__)

CONTROL_STREAM: Final = "realtime_control"
"""Passing messages that every process obeys: `{"command":"disconnect","user_id"|"account_id"|"token_id":…,"reconnect":…}`."""
_SLOTS: Final = 3
_DRAIN_STEP_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Limits and periods of a hub; times in seconds."""

    ping_interval_s: float = 3.0
    authenticate_timeout_s: float = 5.0
    authorize_timeout_s: float = 5.0
    max_subscriptions: int = 128
    max_malformed: int = 3
    connection: ConnectionLimits = field(default_factory=ConnectionLimits)
    broker: BrokerTiming = field(default_factory=BrokerTiming)


class Hub:
    """All sockets of one process."""

    def __init__(
        self,
        redis: Redis,
        resources: Resources,
        *,
        channels: Mapping[str, AnyChannel] | None = None,
        counters: Counters | None = None,
        settings: HubSettings | None = None,
    ) -> None:
        self.settings = settings or HubSettings()
        self.counters = counters or Counters()
        self.resources = resources
        self.channels = discover() if channels is None else channels
        self.publisher = Publisher(redis)
        self.draining = False
        self.obeying = False
        self._broker = Broker(redis, self._deliver, counters=self.counters, timing=self.settings.broker)
        # stream -> identifier -> sockets: one frame serves all sockets under one identifier
        self._table: dict[str, dict[str, set[Connection]]] = {}
        self._slots: tuple[set[Connection], ...] = tuple(set() for _ in range(_SLOTS))
        self._stamp = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def accepting(self) -> bool:
        """Whether a new socket would be served well: not while draining, deaf to Redis or out of reach of revocations."""
        return self.obeying and not self.draining and self._broker.hearing

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return sum(len(slot) for slot in self._slots)

    def sockets(self) -> list[Connection]:
        """Return all open sockets."""
        return [connection for slot in self._slots for connection in slot]

    def listeners(self, stream: str) -> int:
        """How many subscriptions of this process hear a stream."""
        return sum(len(sockets) for sockets in self._table.get(stream, {}).values())

    async def start(self) -> None:
        """Begin to listen and to ping."""
        self._broker.start()
        self._tasks = [asyncio.create_task(self._wheel()), asyncio.create_task(self._obey())]

    async def stop(self) -> None:
        """End all tasks; sockets should be drained before."""
        await cancel_all(self._tasks)
        await self._broker.stop()

    async def drain(self, window_s: float = 5.0) -> None:
        """Send all clients away to another process, spread over the window, so that they do not all return at once.

        Call it before the server closes its sockets by itself, while readiness already fails. New sockets are refused.
        """
        self.draining = True
        leaving = self.sockets()
        steps = max(1, math.ceil(window_s / _DRAIN_STEP_S))
        share = math.ceil(len(leaving) / steps)
        for start in range(0, len(leaving), max(1, share)):
            for connection in leaving[start : start + share]:
                connection.end("server_restart", reconnect=True, code=GOING_AWAY)
            if start + share < len(leaving):
                await asyncio.sleep(window_s / steps)
        try:
            async with asyncio.timeout(self.settings.connection.farewell_s * 2 + 1):
                await self._empty.wait()
        except TimeoutError:
            log.warning("realtime.drained_partly", sockets=self.connections)

    def enter(self, connection: Connection) -> None:
        """Take a socket in; it is pinged from now on."""
        self.counters.add(Count.CONNECTIONS)
        min(self._slots, key=len).add(connection)
        self._empty.clear()

    def leave(self, connection: Connection) -> None:
        """Let a socket go. Its subscriptions must be detached already."""
        for slot in self._slots:
            slot.discard(connection)
        if not self.connections:
            self._empty.set()

    async def attach(self, connection: Connection, identifier: str, streams: Sequence[str]) -> None:
        """Subscribe a socket and confirm it, once Redis has acknowledged all streams. Raises RealtimeUnavailableError."""
        held: list[str] = []
        try:
            for stream in streams:
                await self._broker.subscribe(stream)
                held.append(stream)
        except BaseException:
            for stream in held:
                self._broker.unsubscribe(stream)
            raise
        # No await from here on: the confirmation goes out before any event, and no event is missed after it.
        connection.push(protocol.confirm(identifier))
        for stream in streams:
            self._table.setdefault(stream, {}).setdefault(identifier, set()).add(connection)

    def detach(self, connection: Connection, identifier: str, streams: Iterable[str]) -> None:
        """Undo `attach`."""
        for stream in streams:
            identifiers = self._table.get(stream, {})
            sockets = identifiers.get(identifier, set())
            sockets.discard(connection)
            if not sockets:
                identifiers.pop(identifier, None)
            if not identifiers:
                self._table.pop(stream, None)
            self._broker.unsubscribe(stream)

    def disconnect(self, matches: Callable[[Identity], bool], *, reason: str = "remote", reconnect: bool) -> int:
        """End all sockets of this process whose identity matches; return how many."""
        found = [connection for connection in self.sockets() if matches(connection.identity)]
        for connection in found:
            connection.end(reason, reconnect=reconnect)
        return len(found)

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.stream == CONTROL_STREAM:
            self._control(delivery.payload)
            return
        for identifier, sockets in self._table.get(delivery.stream, {}).items():
            frame = protocol.data_frame(
                identifier, delivery.payload, stream=delivery.stream, epoch=delivery.epoch, offset=delivery.offset
            )
            for connection in sockets:
                if connection.sid != delivery.exclude_sid:
                    connection.push(frame)
            self.counters.add(Count.DELIVERIES, len(sockets))

    def _control(self, payload: bytes) -> None:
        try:
            message: object = orjson.loads(payload)
        except orjson.JSONDecodeError:
            message = None
        order = cast("dict[str, object]", message) if isinstance(message, dict) else {}
        wanted = {key: order[key] for key in ("user_id", "account_id", "token_id") if key in order}
        if order.get("command") != "disconnect" or not wanted:
            log.warning("realtime.unknown_control_message")
            return
        ended = self.disconnect(
            lambda identity: all(str(getattr(identity, key)) == value for key, value in wanted.items()),
            reconnect=order.get("reconnect") is True,
        )
        log.info("realtime.remote_disconnect", sockets=ended)

    async def _obey(self) -> None:
        while True:
            try:
                await self._broker.subscribe(CONTROL_STREAM)
            except (RealtimeUnavailableError, TimeoutError):
                await asyncio.sleep(self.settings.broker.retry_s)
            else:
                self.obeying = True
                return

    async def _wheel(self) -> None:
        """Visit a third of the sockets each time: one frame and one timer for all, instead of one of each per socket."""
        while True:
            for slot in self._slots:
                await asyncio.sleep(self.settings.ping_interval_s / _SLOTS)
                # Clients want stamps that rise with each ping, also when the clock is set back.
                self._stamp = max(int(time.time()), self._stamp + 1 if slot is self._slots[0] else self._stamp)
                self._visit(slot, protocol.ping(self._stamp))

    def _visit(self, slot: set[Connection], ping: protocol.Frame) -> None:
        now = datetime.now(UTC)
        for connection in slot:
            if connection.stalled():
                connection.cut()
            elif connection.identity.expires_at <= now:
                connection.end("token_expired", reconnect=True)
            else:
                connection.push(ping)
