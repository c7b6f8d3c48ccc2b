"""What the hub counts, by name. Counting never fails and never waits."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from enum import StrEnum
from itertools import accumulate
from typing import Final


class Count(StrEnum):
    """All counters of one process's hub."""

    CONNECTIONS = "connections"
    REFUSED = "connections_refused"
    UNAUTHORIZED = "unauthorized"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105  # a reason, not a secret
    TOO_SLOW = "too_slow"
    MALFORMED = "malformed_frames"
    UNKNOWN_COMMANDS = "unknown_commands"
    CONFIRMED = "subscriptions_confirmed"
    REJECTED = "subscriptions_rejected"
    DUPLICATE_SUBSCRIBES = "duplicate_subscribes"
    THROTTLED = "commands_throttled"
    WHISPERS_DROPPED = "whispers_dropped"
    DROPPED_FRAMES = "frames_dropped"
    RESTORES = "sessions_restored"
    RESTORES_REFUSED = "sessions_not_restored"
    HISTORY_SENT = "histories_sent"
    HISTORY_REFUSED = "histories_refused"
    NO_PONG = "no_pong"
    COMMANDS = "commands"
    DELIVERIES = "deliveries"
    SENT_BYTES = "sent_bytes"
    REDIS_CONNECTS = "redis_connects"
    DEAF = "deaf_subscriber"
    GAP_FILLS = "gap_fills"
    LOG_READS = "log_reads"
    EPOCH_CHANGES = "epoch_changes"
    MISSED_EVENTS = "missed_events"
    REPEATED_EVENTS = "repeated_events"


LAG_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Lag:
    """How long events take, as a histogram. A clock behind Redis's counts as no time."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LAG_BOUNDS_S) + 1)
        self._total_s = 0.0

    def add(self, taken_s: float) -> None:
        """Count one."""
        taken_s = max(0.0, taken_s)
        self._counts[bisect_left(LAG_BOUNDS_S, taken_s)] += 1
        self._total_s += taken_s

    def cumulated(self) -> tuple[list[tuple[str, float]], float]:
        """Return how many took up to each bound, and all their seconds. Shape: bound as text -> events."""
        bounds = [*map(str, LAG_BOUNDS_S), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self._counts)), strict=True)), self._total_s


class Counters:
    """Counts since the process started. Shape: name -> how often."""

    def __init__(self) -> None:
        self._counts: Counter[Count] = Counter()
        self.lag = Lag()

    def add(self, name: Count, times: int = 1) -> None:
        """Count it."""
        self._counts[name] += times

    def __getitem__(self, name: Count) -> int:
        return self._counts[name]

    def snapshot(self) -> dict[str, int]:
        """Return all counters, those at zero too."""
        return {name.value: self._counts[name] for name in Count}
