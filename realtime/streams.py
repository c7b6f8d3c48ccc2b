"""The state of one stream that this process listens to, and what a delivery is. Kept by realtime/broker.py alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from realtime.backlog import MAX_BYTES, HistoryRequest, Position, Ring, total_bytes

_TOLERANCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for whoever listens. `offset` 0 and no `epoch`: a passing one that no log holds; then it may be about
    who is `present`.
    """

    stream: str
    epoch: str
    offset: int
    payload: bytes
    exclude_sid: str = ""
    present: bool = False


class LiveStream:
    """`epoch`/`offset` is what was delivered last, `seen` what was heard of last, `users` how many shares are held."""

    __slots__ = (
        "again", "epoch", "fill", "linger", "live", "loading", "name", "offset", "opening", "ring", "seen", "users",
    )  # fmt: skip

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
        self.ring = Ring()
        self.loading: asyncio.Task[None] | None = None
        self.linger: asyncio.TimerHandle | None = None

    @property
    def behind(self) -> bool:
        """Whether more was heard of than delivered."""
        epoch, offset = self.seen
        return epoch == self.epoch and offset > self.offset

    @property
    def tasks(self) -> Iterator[asyncio.Task[None]]:
        """What runs for it now."""
        return (task for task in (self.fill, self.opening, self.loading) if task is not None)

    def reset(self, epoch: str, at_ms: int) -> bool:
        """Begin a new epoch, or none; return whether an old one was lost by that."""
        # Without an old epoch the stream was empty when it was opened, so nothing can be lost.
        lost = bool(self.epoch)
        self.epoch, self.offset = epoch, 0
        self.ring.restart(0, at_ms if lost else self.ring.floor_at_ms)
        return lost

    def ahead_of(self, position: Position) -> bool:
        """Whether a position is one that this stream has been through, as far as it knows."""
        return position.epoch == self.epoch and position.offset <= self.offset

    def backlog(self, wanted: HistoryRequest, now_s: float) -> list[Delivery] | None:
        """Return what is missing up to the live position; None when it cannot be said or is too much."""
        position = wanted.streams.get(self.name)
        if position is not None:
            entries = self.ring.after(position.offset) if self.ahead_of(position) else None
        elif wanted.since_s is not None:
            entries = self.ring.since(_clamped(wanted.since_s, now_s) * 1000)
        else:
            entries = []
        if entries is None or total_bytes(entries) > MAX_BYTES:
            return None
        return [Delivery(self.name, self.epoch, entry.offset, entry.payload, entry.exclude_sid) for entry in entries]


def _clamped(since_s: float, now_s: float) -> float:
    """The time is by the client's clock. One that runs ahead would skip events, so it is taken some seconds back."""
    return since_s if since_s <= now_s else now_s - _TOLERANCE_S
