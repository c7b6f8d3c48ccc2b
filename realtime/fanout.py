"""Stream -> identifier -> sockets of this process, and what holds a socket's events back until its history is answered.

realtime/hub.py hands it what the broker delivers. Nothing here waits: one stalled reader would freeze all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from realtime import frames
from realtime.connection import Connection
from realtime.counters import Count, Counters
from realtime.frames import Frame
from realtime.streams import Delivery


@dataclass(frozen=True, slots=True)
class GateLimits:
    """How long and how much is held back before the client counts as too slow to ask for its history."""

    wait_s: float = 5.0
    held_bytes: int = 256 * 1024


class Gate:
    """Holds a subscription's events. Live ones would otherwise overtake the backlog, and the client's position with it."""

    __slots__ = ("_connection", "_left_bytes", "_timer", "held")

    def __init__(self, connection: Connection, limits: GateLimits) -> None:
        self._connection = connection
        self._left_bytes = limits.held_bytes
        self._timer = asyncio.get_running_loop().call_later(limits.wait_s, connection.cut)
        self.held: list[Delivery] = []

    def hold(self, delivery: Delivery) -> None:
        """Keep it for later; cut the connection when it becomes too much."""
        self.held.append(delivery)
        self._left_bytes -= len(delivery.payload)
        if self._left_bytes < 0:
            self._connection.cut()

    def close(self) -> None:
        """Forget the deadline; the gate is used no more."""
        self._timer.cancel()


class _Listeners:
    """Who hears one stream under one identifier; `latest_only`: of what waits, only the newest is worth sending.
    `notice`: said instead of each stored event.
    """

    __slots__ = ("gates", "latest_only", "notice", "sockets")

    def __init__(self, latest_only: bool, notice: bytes) -> None:
        self.latest_only = latest_only
        self.notice = notice
        self.sockets: set[Connection] = set()
        self.gates: dict[Connection, Gate] = {}


_CALM: Final[dict[str, _Listeners]] = {}


class Fanout:
    """All subscriptions of one process."""

    def __init__(self, counters: Counters, limits: GateLimits) -> None:
        self._counters = counters
        self._limits = limits
        # stream -> identifier -> listeners: one frame serves all sockets under one identifier
        self._table: dict[str, dict[str, _Listeners]] = {}

    def __len__(self) -> int:
        return sum(len(listeners.sockets) + len(listeners.gates) for _, listeners in self._all())

    def streams(self) -> list[str]:
        """Return what somebody hears."""
        return list(self._table)

    def heard_by(self, sockets: set[Connection]) -> dict[Connection, dict[str, list[str]]]:
        """Return what some sockets hear. Shape: socket -> identifier -> streams."""
        found: dict[Connection, dict[str, list[str]]] = {}
        for stream, identifiers in self._table.items():
            for identifier, listeners in identifiers.items():
                for socket in sockets & (listeners.sockets | listeners.gates.keys()):
                    found.setdefault(socket, {}).setdefault(identifier, []).append(stream)
        return found

    def listeners(self, stream: str) -> int:
        """How many subscriptions hear a stream."""
        found = self._table.get(stream, _CALM).values()
        return sum(len(listeners.sockets) + len(listeners.gates) for listeners in found)

    def add(
        self,
        connection: Connection,
        identifier: str,
        streams: Sequence[str],
        *,
        latest_only: bool,
        notice: bytes = b"",
    ) -> None:
        """Send a socket what the streams say from now on; or, where there is one, a notice each time they say something."""
        for stream in streams:
            identifiers = self._table.setdefault(stream, {})
            listeners = identifiers.setdefault(identifier, _Listeners(latest_only, notice))
            listeners.sockets.add(connection)

    def remove(self, connection: Connection, identifier: str, streams: Iterable[str]) -> None:
        """Undo `add`."""
        for stream in streams:
            identifiers = self._table.get(stream, _CALM)
            listeners = identifiers.get(identifier)
            if listeners is None:
                continue
            listeners.sockets.discard(connection)
            gate = listeners.gates.pop(connection, None)
            if gate is not None:
                gate.close()
            if not listeners.sockets and not listeners.gates:
                del identifiers[identifier]
            if not identifiers:
                self._table.pop(stream, None)

    def hold(self, connection: Connection, identifier: str, streams: Sequence[str]) -> None:
        """Hold back what an added subscription would get, until `release`. Nothing happens when it is held already."""
        gate: Gate | None = None
        for stream in streams:
            listeners = self._table[stream][identifier]
            if connection not in listeners.gates:
                gate = gate or Gate(connection, self._limits)
                listeners.gates[connection] = gate
                listeners.sockets.discard(connection)

    def release(self, connection: Connection, identifier: str, streams: Sequence[str]) -> list[Delivery]:
        """Let events through again; return what was held, in the order it came."""
        gate: Gate | None = None
        for stream in streams:
            listeners = self._table[stream][identifier]
            gate = listeners.gates.pop(connection, gate)
            listeners.sockets.add(connection)
        if gate is None:
            return []
        gate.close()
        return gate.held

    def frame(self, identifier: str, delivery: Delivery) -> Frame:
        """Build the frame of an event as this identifier's subscribers get it."""
        listeners = self._table.get(delivery.stream, _CALM).get(identifier)
        return _frame(identifier, delivery, latest_only=listeners is not None and listeners.latest_only)

    def deliver(self, delivery: Delivery) -> None:
        """Send an event to all who listen."""
        for identifier, listeners in self._table.get(delivery.stream, _CALM).items():
            for gate in listeners.gates.values():
                gate.hold(delivery)
            if not listeners.sockets or (listeners.notice and not delivery.offset):
                continue
            if listeners.notice:
                frame = frames.data(identifier, listeners.notice)
            else:
                frame = _frame(identifier, delivery, latest_only=listeners.latest_only)
            if delivery.present or delivery.exclude_sid:
                _push_to_some(listeners.sockets, delivery, frame)
            else:
                for connection in listeners.sockets:
                    connection.push(frame)
            self._counters.add(Count.DELIVERIES, len(listeners.sockets))

    def _all(self) -> Iterable[tuple[str, _Listeners]]:
        for identifiers in self._table.values():
            yield from identifiers.items()


def concerns(connection: Connection, delivery: Delivery) -> bool:
    """Whether a socket should get it: not its own words, and who is present only where the protocol has a word for it."""
    if delivery.exclude_sid and delivery.exclude_sid == connection.sid:
        return False
    return connection.extended or not delivery.present


def joined(stream: str, backlog: Sequence[Delivery], held: Sequence[Delivery]) -> list[Delivery]:
    """Return a stream's missed events and those held back meanwhile, each once.

    What was held is in the backlog too, unless it asks for none of this stream, or from a time ahead of Redis's clock.
    """
    missed = [delivery for delivery in backlog if delivery.stream == stream]
    known = {(delivery.epoch, delivery.offset) for delivery in missed}
    rest = [one for one in held if one.stream == stream and (one.epoch, one.offset) not in known]
    return sorted(missed + rest, key=lambda delivery: delivery.offset) if missed else rest


def _push_to_some(sockets: set[Connection], delivery: Delivery, frame: Frame) -> None:
    for connection in sockets:
        if concerns(connection, delivery):
            connection.push(frame)


def _frame(identifier: str, delivery: Delivery, *, latest_only: bool) -> Frame:
    if delivery.present:
        return frames.presence(identifier, delivery.payload)
    return frames.data(
        identifier,
        delivery.payload,
        stream=delivery.stream,
        epoch=delivery.epoch,
        offset=delivery.offset,
        latest=latest_only,
    )
