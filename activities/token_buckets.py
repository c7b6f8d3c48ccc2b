"""Token buckets of one process, for when Redis is away: the same arithmetic as limiter.py's script, in memory.

Each bucket is one number, the time at which it will be full again (GCRA, the generic cell rate algorithm).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """A request every `interval_s`, `burst` at once."""

    key: str
    interval_s: float
    burst: int


@dataclass(slots=True)
class Buckets:
    """Full again at; keyed by bucket. A ticket holds until when its owner waits, and which buckets it has paid."""

    full_at: dict[str, float] = field(default_factory=dict[str, float])
    tickets: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict[str, tuple[float, frozenset[str]]])

    def take(self, wanted: Mapping[str, Bucket], ticket: str, spare: int) -> float:
        """Take one of each; 0, or how long to wait. Who waits has its place, unless `spare` asks for more than one."""
        now = time.monotonic()
        due, paid = self.tickets.get(ticket, (0.0, frozenset[str]()))
        if due > now:
            return due - now
        full = {key: max(self.full_at.get(key, 0.0), now) for key in wanted if key not in paid}
        waits = {key: at + (1 + spare - wanted[key].burst) * wanted[key].interval_s - now for key, at in full.items()}
        late = {key for key, wait_s in waits.items() if wait_s > 0}
        if late and spare:
            return max(waits.values())
        for key in late or full:
            self.full_at[key] = full[key] + wanted[key].interval_s
        self.tickets.pop(ticket, None)
        wait_s = max((waits[key] for key in late), default=0.0)
        if late:
            self.tickets[ticket] = (now + wait_s, paid | late)
        self._tidy(now)
        return wait_s

    def _tidy(self, now: float) -> None:
        if len(self.full_at) > MOST:
            self.full_at = {key: at for key, at in self.full_at.items() if at > now}
        if len(self.tickets) > MOST:
            self.tickets = {key: held for key, held in self.tickets.items() if held[0] > now - 60}
