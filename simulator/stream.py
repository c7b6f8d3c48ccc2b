"""What a channel's platform tells by a socket: a log that every socket reads at its own pace, and can read again.

Owned by the channel, in memory only: after a restart of the simulator no session can be resumed, as after one of a real
gateway. Written by the plays, read by the sockets (mattermost_socket.py, discord_gateway.py).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from simulator.records import Json


@dataclass(frozen=True, slots=True)
class Told:
    """One event. `chat`: where it happened."""

    name: str
    data: Json
    chat: str | None


@dataclass(slots=True)
class Stream:
    """A channel's events since the simulator began. `listeners`: how many sockets are open."""

    events: list[Told] = field(default_factory=list[Told])
    listeners: int = 0
    used: bool = False
    """Whether a socket was ever open: then the bot is one that listens, and only away for a while."""
    generation: int = 0
    """Rises with each order."""
    order: str = ""
    """What the open sockets are to do; see the sockets."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, name: str, data: Json, chat: str | None) -> None:
        """Add an event and wake the sockets."""
        self.events.append(Told(name, data, chat))
        self.wake()

    def take_back(self, position: int) -> list[Told]:
        """Return the events from a position on and forget them: nobody may have read them yet."""
        taken = self.events[position:]
        del self.events[position:]
        return taken

    def command(self, order: str) -> None:
        """Give the open sockets an order."""
        self.order = order
        self.generation += 1
        self.wake()

    def wake(self) -> None:
        """Wake everybody who waits."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait for the next event or for a wake."""
        await self._changed.wait()
