"""One socket: who is there, what waits to be sent (bounded), and how it ends. Nothing here waits but the writer.

realtime/fanout.py and realtime/consumer.py push frames. They leave by the transport itself where the server offers it
(realtime/wire.py; many frames in one write), else by ASGI's `send`, which realtime/server.py has a writer for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from realtime import frames
from realtime.frames import Frame
from realtime.identity import Identity

NORMAL_CLOSURE: Final = 1000
GOING_AWAY: Final = 1001
MESSAGE_TOO_BIG: Final = 1009
_WRITE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Ending:
    """Why and how a connection ends. Not `flush`: what waits is thrown away, the client catches up when it is back."""

    reason: str
    reconnect: bool
    code: int = NORMAL_CLOSURE
    flush: bool = True


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may hold and how long it may stall. Over `pressure_bytes`, what is passing is dropped."""

    outbox_bytes: int = 1024 * 1024
    pressure_bytes: int = 256 * 1024
    stall_s: float = 10.0
    farewell_s: float = 2.0


class Wire(Protocol):
    """A transport that takes bytes without waiting. `resumed` is called when it is no longer full."""

    resumed: Callable[[], None] | None

    @property
    def full(self) -> bool:
        """Whether it should get no more for now."""
        ...

    def write(self, data: bytes) -> None:
        """Take bytes; nothing happens on one that is closing."""
        ...

    def abort(self) -> None:
        """Close at once; what it holds is lost."""
        ...

    def settle(self) -> None:
        """The handshake is over; what only it needed may go."""
        ...


class Flusher:
    """Lets all that was pushed within one turn of the loop leave in one write per socket."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._dirty: list[Connection] = []

    def mark(self, connection: Connection) -> None:
        """Flush this connection in the loop's next turn."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(connection)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()


class Connection:
    """A socket's outbox. `push` and `end` never wait and may be called from anywhere in the loop."""

    __slots__ = (
        "__weakref__", "_dirty", "_dropped", "_flusher", "_limits", "_loop", "_outbox", "_progress_at", "_send", "_wake",
        "_wire", "address", "ended", "extended", "identity", "ping_every", "precision", "sent_bytes", "sid", "size_bytes",
        "unanswered_pings", "welcomed",
    )  # fmt: skip

    def __init__(
        self,
        sid: str,
        identity: Identity,
        send: Callable[[str], Awaitable[None]],
        limits: ConnectionLimits,
        *,
        wire: Wire | None = None,
        flusher: Flusher | None = None,
    ) -> None:
        self.sid = sid
        self.identity = identity
        self.address = ""
        self.extended = False
        self.welcomed = False
        self.size_bytes = 0
        self.sent_bytes = 0
        # Pings: every so many ticks of the hub's wheel, stamped with so much a second; None until a pong ever came.
        self.ping_every = 0
        self.precision = 1
        self.unanswered_pings: int | None = None
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Ending] = self._loop.create_future()
        self._send = send
        self._limits = limits
        self._outbox: list[Frame] = []
        self._wire = wire if flusher is not None else None
        self._flusher = flusher
        self._dirty = False
        self._dropped = 0
        self._wake = None if self._wire is not None else asyncio.Event()
        self._progress_at = self._loop.time()
        if self._wire is not None:
            self._wire.resumed = self._mark

    def push(self, frame: Frame) -> None:
        """Queue a frame; cut the connection when too much waits already."""
        if self.ended.done():
            return
        if not self._outbox:
            self._progress_at = self._loop.time()
        elif self.size_bytes > self._limits.pressure_bytes and self._give_way(frame):
            return
        self._outbox.append(frame)
        self.size_bytes += frame.size_bytes
        if self.size_bytes > self._limits.outbox_bytes:
            self.cut()
        elif not self._dirty:
            self._mark()

    @property
    def dropped(self) -> int:
        """How many passing or outdated frames gave way under pressure."""
        return self._dropped

    def end(self, reason: str, *, reconnect: bool, code: int = NORMAL_CLOSURE) -> None:
        """Say goodbye after what waits already; the first reason given counts."""
        if not self.ended.done():
            self.ended.set_result(Ending(reason, reconnect, code))

    def cut(self, reason: str = "too_slow") -> None:
        """End a connection whose client does not read: what waits is dropped."""
        if not self.ended.done():
            self.ended.set_result(Ending(reason, reconnect=True, flush=False))

    def stalled(self) -> bool:
        """Whether frames wait and none has left for too long."""
        return bool(self._outbox) and self._loop.time() - self._progress_at > self._limits.stall_s

    def flush(self, *, last: bool = False) -> None:
        """Hand what waits to the transport, until it is full; all of it when these are the `last` words."""
        self._dirty = False
        wire = self._wire
        outbox = self._outbox
        if wire is None or not outbox or (self.ended.done() and not last):
            return
        if wire.full and not last:
            return
        if len(outbox) == 1:
            wire.write(outbox[0].wire)
            outbox.clear()
            self.size_bytes = 0
            return
        self._progress_at = self._loop.time()
        while outbox and (last or not wire.full):
            self._write_some(wire)

    def _write_some(self, wire: Wire) -> None:
        size = count = 0
        for frame in self._outbox:
            size += frame.size_bytes
            count += 1
            if size >= _WRITE_BYTES:
                break
        wire.write(b"".join([frame.wire for frame in self._outbox[:count]]))
        del self._outbox[:count]
        self.size_bytes -= size
        self.sent_bytes += size

    @property
    def needs_writer(self) -> bool:
        """Whether somebody must run `write`; a transport of its own needs nobody."""
        return self._wake is not None

    async def write(self) -> None:
        """Send by ASGI what is pushed, until cancelled."""
        wake = cast("asyncio.Event", self._wake)
        while True:
            await wake.wait()
            wake.clear()
            self._dirty = False
            await self._send_all()

    async def farewell(self, ending: Ending) -> None:
        """Send the last frames. The writer must be gone. Raises TimeoutError when the client does not take them."""
        async with asyncio.timeout(self._limits.farewell_s):
            if ending.flush:
                self.flush(last=True)
                await self._send_all()
            self._outbox.clear()
            await self._send(frames.disconnect(ending.reason, reconnect=ending.reconnect).text)

    def abort(self) -> None:
        """Close a transport that takes nothing any more, so that it does not hold what it holds for minutes."""
        if self._wire is not None:
            self._wire.abort()

    def _mark(self) -> None:
        if self._wake is not None:
            self._dirty = True
            self._wake.set()
        elif self._flusher is not None and self._outbox and not self._dirty:
            self._dirty = True
            self._flusher.mark(self)

    def _give_way(self, frame: Frame) -> bool:
        """Drop a passing frame, or what a newer one makes outdated; return whether the new one need not be queued."""
        if frame.passing:
            self._dropped += 1
            return True
        if frame.latest:
            # The first in line stays: the writer may be sending it just now.
            kept = self._outbox[:1] + [one for one in self._outbox[1:] if one.latest != frame.latest]
            self._dropped += len(self._outbox) - len(kept)
            self._outbox = kept
            self.size_bytes = sum(one.size_bytes for one in kept)
        return False

    async def _send_all(self) -> None:
        while self._outbox:
            frame = self._outbox[0]
            await self._send(frame.text)
            # Only now: a send that was cancelled while it waited has sent nothing, and is still first in line.
            del self._outbox[0]
            self.size_bytes -= frame.size_bytes
            self.sent_bytes += frame.size_bytes
            self._progress_at = self._loop.time()
