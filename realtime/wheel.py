"""One clock for all sockets: each is visited at its own pace, the ping frame is built once for all that are due.

realtime/hub.py runs it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from realtime import frames
from realtime.connection import Connection
from realtime.frames import Frame

TICKS_A_PING: Final = 3
MAX_TICKS: Final = 30
PRECISIONS: Final = {"s": 1, "ms": 1_000, "ns": 1_000_000_000}


class Wheel:
    """`visit(connection, ping)` is called for each socket that is due. Shape: tick -> sockets.

    `lag_s`: how late the loop was at the last tick.
    """

    def __init__(self, ping_interval_s: float, visit: Callable[[Connection, Frame], None]) -> None:
        self._tick_s = ping_interval_s / TICKS_A_PING
        self._visit = visit
        self._slots: tuple[set[Connection], ...] = tuple(set() for _ in range(MAX_TICKS + 1))
        self._now = 0
        self._stamp = 0
        self.lag_s = 0.0

    def add(self, connection: Connection, asked_s: float | None) -> None:
        """Take a socket in; `asked_s` is how often its client wants to be pinged, within 1 to 30 ticks."""
        every = TICKS_A_PING if asked_s is None else round(asked_s / self._tick_s)
        connection.ping_every = max(1, min(MAX_TICKS, every))
        # The first visit comes at an arbitrary part of its period, so that a thousand that came at once spread out.
        soon = [self._slot(ahead) for ahead in range(1, connection.ping_every + 1)]
        min(soon, key=len).add(connection)

    def remove(self, connection: Connection) -> None:
        """Visit it no more."""
        for ahead in range(connection.ping_every + 1):
            self._slot(ahead).discard(connection)

    async def run(self) -> None:
        """Turn until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + self._tick_s
            await asyncio.sleep(self._tick_s)
            self.lag_s = max(0.0, loop.time() - due_at)
            self._turn()

    def _turn(self) -> None:
        self._now += 1
        due = self._slot(0)
        # Clients want whole numbers that rise with each ping, also when the clock is set back.
        now = time.time()
        self._stamp = max(int(now), self._stamp + 1)
        built: dict[int, Frame] = {}
        for connection in due:
            precision = connection.precision
            if precision not in built:
                fraction = int((now % 1) * precision) if self._stamp == int(now) else 0
                built[precision] = frames.ping(self._stamp * precision + fraction)
            self._slot(connection.ping_every).add(connection)
            self._visit(connection, built[precision])
        due.clear()

    def _slot(self, ahead: int) -> set[Connection]:
        return self._slots[(self._now + ahead) % len(self._slots)]
