"""Serving a socket, and sessions that can be resumed: each keeps what it was told, numbered, for whoever comes back.

Called by the sockets. In memory; forgotten sessions cannot be resumed, which is what a test of catching up wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from simulator.channel import Channel
from simulator.records import Json
from simulator.state import World


async def attended(
    world: World, channel: Channel, telling: Coroutine[Any, Any, None], listening: Coroutine[Any, Any, None]
) -> None:
    """Tell and listen until either ends; meanwhile the channel counts one listener more."""
    channel.stream.listeners += 1
    channel.stream.used = True
    world.changes.bump()
    tasks = [asyncio.create_task(telling), asyncio.create_task(listening)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        channel.stream.listeners -= 1
        world.changes.bump()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class Session:
    """One session. `read`: how far the channel's stream was read; `log`: what was told, each with its number; `sockets`: how
    many had it so far, and `open`: whether the last one still does.
    """

    id: str
    channel: str
    read: int
    log: list[tuple[int, Json]] = field(default_factory=list[tuple[int, Json]])
    number: int = 0
    sockets: int = 0
    open: bool = False

    def add(self, frame: Json) -> int:
        """Number a frame and keep it."""
        self.number += 1
        self.log.append((self.number, frame))
        return self.number

    def after(self, number: int) -> list[tuple[int, Json]]:
        """Return what came after a number."""
        return [entry for entry in self.log if entry[0] > number]


class Sessions:
    """All sessions of one kind of socket."""

    def __init__(self) -> None:
        self._known: dict[str, Session] = {}

    def new(self, session_id: str, channel: str, read: int) -> Session:
        """Begin one."""
        found = self._known[session_id] = Session(session_id, channel, read)
        return found

    def find(self, session_id: str) -> Session | None:
        """Return one that can still be resumed."""
        return self._known.get(session_id)

    def forget(self, channel: str) -> None:
        """Make a channel's sessions impossible to resume."""
        self._known = {key: one for key, one in self._known.items() if one.channel != channel}
