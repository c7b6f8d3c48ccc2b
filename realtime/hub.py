"""All sockets of one process: who is in, what they hear, their pings, remote control, draining.

api/hub.py builds one a process, starts it, mounts `server.CableApp` on it and drains it before shutdown.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from redis.asyncio import Redis

from realtime import control, frames
from realtime.admission import Admission
from realtime.backlog import HistoryRequest, Position
from realtime.broker import Broker
from realtime.channel import AnyChannel, Resources, discover
from realtime.connection import GOING_AWAY, Connection, Flusher
from realtime.control import CONTROL_STREAM
from realtime.counters import Count, Counters
from realtime.errors import RealtimeUnavailableError
from realtime.fanout import Fanout, concerns, joined
from realtime.frames import Frame
from realtime.identity import Identity
from realtime.limits import HubSettings
from realtime.presence import Presence
from realtime.publish import Publisher
from realtime.sessions import Sessions
from realtime.standing import Standing, look, stand
from realtime.streams import Delivery
from realtime.survey import Survey
from realtime.tasks import cancel_all
from realtime.wheel import Wheel

log = structlog.stdlib.get_logger(__name__)

_COUNTED: Final = {Count.TOO_SLOW, Count.TOKEN_EXPIRED, Count.NO_PONG}
_DRAIN_STEP_S: Final = 0.1
_PATIENT_PINGS: Final = 3


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
        self.presence = Presence(redis, self.settings.presence_ttl_s)
        self.survey = Survey(redis, self.publisher, lambda account_id: look(self.sockets(), self._fanout, account_id))
        self.sessions = Sessions(redis, self.settings.session_ttl_s)
        self.admission = Admission(self.settings.admission)
        self.flusher = Flusher()
        # A storm of returning sockets must not be one of questions to the database.
        self.authorizing = asyncio.Semaphore(self.settings.authorizations)
        self.draining = False
        self.obeying = False
        self._broker = Broker(redis, self._deliver, counters=self.counters, timing=self.settings.broker)
        self._fanout = Fanout(self.counters, self.settings.gate)
        self._wheel = Wheel(self.settings.ping_interval_s, self._visit)
        self._sockets: dict[str, Connection] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def hearing(self) -> bool:
        """Whether live events and revocations reach this process."""
        return self.obeying and self._broker.hearing

    @property
    def accepting(self) -> bool:
        """Whether a new socket would be served well: not while draining, deaf to Redis or out of reach of revocations."""
        return self.hearing and not self.draining

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._sockets)

    def sockets(self) -> list[Connection]:
        """Return all open sockets."""
        return list(self._sockets.values())

    def standing(self) -> Standing:
        """Return how much of everything there is now."""
        return stand(self.sockets(), self._fanout, self._wheel.lag_s)

    def listeners(self, stream: str) -> int:
        """How many subscriptions of this process hear a stream."""
        return self._fanout.listeners(stream)

    def places(self, streams: Iterable[str]) -> dict[str, Position]:
        """Return how far each stream of a live subscription was delivered. Shape: stream -> place."""
        return {stream: self._broker.place(stream) for stream in streams}

    async def start(self) -> None:
        """Begin to listen and to ping."""
        self._broker.start()
        work = (self._wheel.run(), self._obey(), self.presence.run(), self.sessions.run())
        self._tasks = [asyncio.create_task(one) for one in work]

    async def stop(self) -> None:
        """End all tasks; sockets should be drained before."""
        await cancel_all(self._tasks)
        await self.survey.stop()
        await self.sessions.flush()
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

    def enter(self, connection: Connection, ping_every_s: float | None = None) -> None:
        """Take a socket in; it is pinged from its welcome on."""
        self.counters.add(Count.CONNECTIONS)
        self._sockets[connection.sid] = connection
        self._wheel.add(connection, ping_every_s)
        self._empty.clear()

    def leave(self, connection: Connection) -> None:
        """Let a socket go. Its subscriptions must be detached already."""
        self.counters.add(Count.DROPPED_FRAMES, connection.dropped)
        self.counters.add(Count.SENT_BYTES, connection.sent_bytes)
        self._wheel.remove(connection)
        self._sockets.pop(connection.sid, None)
        if connection.ended.done():
            reason = connection.ended.result().reason
            if reason in _COUNTED:
                self.counters.add(Count(reason))
            user_id = str(connection.identity.user_id)
            log.info("realtime.disconnected", sid=connection.sid, user_id=user_id, reason=reason)
        self.sessions.close(connection.sid)
        if not self._sockets:
            self._empty.set()

    def supersede(self, sid: str) -> None:
        """End an earlier socket whose client has come back by another: it is dead, it only does not know."""
        before = self._sockets.get(sid)
        self.sessions.drop(sid)
        if before is not None:
            before.cut("superseded")

    async def attach(
        self,
        connection: Connection,
        identifier: str,
        streams: Sequence[str],
        *,
        latest_only: bool = False,
        held: bool = False,
        confirm: bool = True,
        notice: bytes = b"",
    ) -> None:
        """Subscribe a socket and confirm it, once Redis has acknowledged all streams. Raises RealtimeUnavailableError.

        `held`: nothing goes out until the history is answered. `notice`: said instead of each stored event.
        """
        taken: list[str] = []
        try:
            for stream in streams:
                await self._broker.subscribe(stream)
                taken.append(stream)
        except BaseException:
            for stream in taken:
                self._broker.unsubscribe(stream)
            raise
        # No await from here on: the confirmation goes out before any event, and no event is missed after it.
        if confirm:
            connection.push(frames.confirm(identifier))
        self._fanout.add(connection, identifier, streams, latest_only=latest_only, notice=notice)
        if held:
            self._fanout.hold(connection, identifier, streams)

    def detach(self, connection: Connection, identifier: str, streams: Iterable[str]) -> None:
        """Undo `attach`."""
        streams = list(streams)
        self._fanout.remove(connection, identifier, streams)
        for stream in streams:
            self._broker.unsubscribe(stream)

    async def catch_up(
        self, connection: Connection, identifier: str, streams: Sequence[str], wanted: HistoryRequest
    ) -> None:
        """Send what was missed, then what came meanwhile, each once and in order. Raises RealtimeUnavailableError."""
        self._fanout.hold(connection, identifier, streams)
        await self._broker.catch_up(streams, wanted)
        # No await from here on: the backlog ends where the live events begin.
        backlog = self._broker.backlog(streams, wanted)
        held = self._fanout.release(connection, identifier, streams)
        if backlog is None:
            self.counters.add(Count.HISTORY_REFUSED)
            connection.push(frames.reject_history(identifier))
            self._send(connection, identifier, held)
            return
        self.counters.add(Count.HISTORY_SENT)
        stored = [delivery for delivery in held if delivery.offset]
        for stream in streams:
            self._send(connection, identifier, joined(stream, backlog, stored))
        connection.push(frames.confirm_history(identifier))
        self._send(connection, identifier, [delivery for delivery in held if not delivery.offset])

    def release(self, connection: Connection, identifier: str, streams: Sequence[str]) -> None:
        """Send what was held back, because the client wants no history."""
        self._send(connection, identifier, self._fanout.release(connection, identifier, streams))

    def disconnect(self, matches: Callable[[Identity], bool], *, reason: str = "remote", reconnect: bool) -> int:
        """End all sockets of this process whose identity matches; return how many."""
        found = [connection for connection in self.sockets() if matches(connection.identity)]
        for connection in found:
            connection.end(reason, reconnect=reconnect)
        return len(found)

    def expire(self, connection: Connection) -> None:
        """End a socket whose token is over. The extended client fetches a new one only when told not to come back."""
        connection.end("token_expired", reconnect=not connection.extended)

    def _send(self, connection: Connection, identifier: str, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            if concerns(connection, delivery):
                connection.push(self._fanout.frame(identifier, delivery))

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.stream == CONTROL_STREAM:
            self._control(delivery.payload)
        else:
            self._fanout.deliver(delivery)

    def _control(self, payload: bytes) -> None:
        order = control.parse(payload)
        match order:
            case control.Disconnect():
                ended = self.disconnect(order.concerns, reconnect=order.reconnect)
                log.info("realtime.remote_disconnect", sockets=ended)
            case control.Tell():
                self.survey.answer(order)
            case None:
                log.warning("realtime.unknown_control_message")

    async def _obey(self) -> None:
        while True:
            try:
                await self._broker.subscribe(CONTROL_STREAM)
            except (RealtimeUnavailableError, TimeoutError):
                await asyncio.sleep(self.settings.broker.retry_s)
            else:
                self.obeying = True
                return

    def _visit(self, connection: Connection, ping: Frame) -> None:
        if not connection.welcomed:
            return
        if connection.stalled():
            connection.cut()
        elif connection.identity.expires_at <= datetime.now(UTC):
            self.expire(connection)
        elif connection.extended and self._silent(connection):
            connection.end("no_pong", reconnect=True)
        else:
            connection.push(ping)

    def _silent(self, connection: Connection) -> bool:
        """Count a ping; whether the last ones were not answered by a client that does, or must, answer."""
        if connection.unanswered_pings is None and not self.settings.pongs_required:
            return False
        connection.unanswered_pings = (connection.unanswered_pings or 0) + 1
        return connection.unanswered_pings > _PATIENT_PINGS
