"""One socket: who is there, what waits to be sent (bounded), and how it ends. Nothing here waits but the writer.

realtime/hub.py pushes frames, realtime/server.py runs the writer. A transport of its own in place of `send` would
replace `write` and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from realtime import protocol
from realtime.identity import Identity
from realtime.protocol import Frame

NORMAL_CLOSURE: Final = 1000
GOING_AWAY: Final = 1001
MESSAGE_TOO_BIG: Final = 1009


@dataclass(frozen=True, slots=True)
class Ending:
    """Why and how a connection ends. Not `flush`: what waits is thrown away, the client catches up when it is back."""

    reason: str
    reconnect: bool
    code: int = NORMAL_CLOSURE
    flush: bool = True


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may hold and how long it may stall."""

    outbox_bytes: int = 1024 * 1024
    stall_s: float = 10.0
    farewell_s: float = 2.0


class Connection:
    """A socket's outbox. `push` and `end` never wait and may be called from anywhere in the loop."""

    __slots__ = (
        "_limits",
        "_loop",
        "_outbox",
        "_progress_at",
        "_send",
        "_wake",
        "ended",
        "identity",
        "sid",
        "size_bytes",
    )

    def __init__(
        self, sid: str, identity: Identity, send: Callable[[str], Awaitable[None]], limits: ConnectionLimits
    ) -> None:
        self.sid = sid
        self.identity = identity
        self.size_bytes = 0
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Ending] = self._loop.create_future()
        self._send = send
        self._limits = limits
        self._outbox: deque[Frame] = deque()
        self._wake = asyncio.Event()
        self._progress_at = self._loop.time()

    def push(self, frame: Frame) -> None:
        """Queue a frame; cut the connection when too much waits already."""
        if self.ended.done():
            return
        if not self._outbox:
            self._progress_at = self._loop.time()
        self._outbox.append(frame)
        self.size_bytes += frame.size_bytes
        if self.size_bytes > self._limits.outbox_bytes:
            self.cut()
        else:
            self._wake.set()

    def end(self, reason: str, *, reconnect: bool, code: int = NORMAL_CLOSURE) -> None:
        """Say goodbye after what waits already; the first reason given counts."""
        if not self.ended.done():
            self.ended.set_result(Ending(reason, reconnect, code))

    def cut(self) -> None:
        """End a connection whose client does not read: what waits is dropped."""
        if not self.ended.done():
            self.ended.set_result(Ending("too_slow", reconnect=True, flush=False))

    def stalled(self) -> bool:
        """Whether frames wait and none has left for too long."""
        return bool(self._outbox) and self._loop.time() - self._progress_at > self._limits.stall_s

    async def write(self) -> None:
        """Send what is pushed until cancelled. All that was pushed within one turn of the loop leaves in one go."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._flush()

    async def farewell(self, ending: Ending) -> None:
        """Send the last frames. The writer must be gone. Raises TimeoutError when the client does not take them."""
        async with asyncio.timeout(self._limits.farewell_s):
            if ending.flush:
                await self._flush()
            self._outbox.clear()
            await self._send(protocol.disconnect(ending.reason, reconnect=ending.reconnect).text)

    async def _flush(self) -> None:
        while self._outbox:
            frame = self._outbox[0]
            await self._send(frame.text)
            # Only now: a send that was cancelled while it waited has sent nothing, and is still first in line.
            self._outbox.popleft()
            self.size_bytes -= frame.size_bytes
            self._progress_at = self._loop.time()
