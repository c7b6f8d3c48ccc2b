"""How many may come in and how fast they may speak: counts per process, and token buckets. It refuses; it never waits."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second, after a first `burst`."""

    per_s: float
    burst: int


class Bucket:
    """A token bucket; it may be overdrawn, then `take` says how long to wait."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._left = float(rate.burst)
        self._at = time.monotonic()

    def take(self) -> float:
        """Take one; return the seconds after which it is due, 0 for now."""
        self._refill()
        self._left -= 1
        return max(0.0, -self._left / self._rate.per_s)

    def take_if_due(self) -> bool:
        """Take one only when there is one."""
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _refill(self) -> None:
        now = time.monotonic()
        self._left = min(float(self._rate.burst), self._left + (now - self._at) * self._rate.per_s)
        self._at = now


@dataclass(frozen=True, slots=True)
class CommandRates:
    """What one socket may ask. Over them it is read more slowly; only whispers are dropped.

    A page that returns re-subscribes, catches up and joins for each of its subscriptions at once.
    """

    actions: Rate = Rate(20, 60)
    subscriptions: Rate = Rate(50, 400)
    rejections: Rate = Rate(2, 30)
    whispers: Rate = Rate(10, 30)


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How many sockets one process takes, in all, from one address and of one person; and how many in a second."""

    sockets: int = 20_000
    per_address: int = 1_000
    per_user: int = 10
    arrivals: Rate = Rate(1_000, 4_000)


class Admission:
    """Counts who is in. Shape: address or user id -> sockets."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._arrivals = Bucket(limits.arrivals)
        self._addresses: Counter[str] = Counter()
        self._users: Counter[UUID] = Counter()
        self._sockets = 0

    def refusal(self, address: str) -> int:
        """Return the status to refuse a newcomer with before anything else is done, 0 to let it try."""
        if self._sockets >= self._limits.sockets or not self._arrivals.take_if_due():
            return 503
        return 429 if self._addresses[address] >= self._limits.per_address else 0

    def admit(self, address: str, user_id: UUID) -> bool:
        """Count a socket in; False when this person has enough of them."""
        if self._users[user_id] >= self._limits.per_user:
            return False
        self._sockets += 1
        self._addresses[address] += 1
        self._users[user_id] += 1
        return True

    def release(self, address: str, user_id: UUID) -> None:
        """Count it out."""
        self._sockets -= 1
        for counts, key in ((self._addresses, address), (self._users, user_id)):
            counts[key] -= 1  # pyright: ignore[reportArgumentType]
            if counts[key] <= 0:  # pyright: ignore[reportArgumentType]
                del counts[key]  # pyright: ignore[reportArgumentType]
