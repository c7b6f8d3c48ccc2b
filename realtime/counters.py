"""What the hub counts, by name. Counting never fails and never waits."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


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
    DELIVERIES = "deliveries"
    REDIS_CONNECTS = "redis_connects"
    DEAF = "deaf_subscriber"
    GAP_FILLS = "gap_fills"
    LOG_READS = "log_reads"
    EPOCH_CHANGES = "epoch_changes"
    MISSED_EVENTS = "missed_events"
    REPEATED_EVENTS = "repeated_events"


class Counters:
    """Counts since the process started. Shape: name -> how often."""

    def __init__(self) -> None:
        self._counts: Counter[Count] = Counter()

    def add(self, name: Count, times: int = 1) -> None:
        """Count it."""
        self._counts[name] += times

    def __getitem__(self, name: Count) -> int:
        return self._counts[name]

    def snapshot(self) -> dict[str, int]:
        """Return all counters, those at zero too."""
        return {name.value: self._counts[name] for name in Count}
