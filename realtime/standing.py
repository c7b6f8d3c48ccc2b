"""How much of everything a hub has just now. Plain numbers, for api/metrics.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """One process's. `users` are different people, `outbox_bytes` what waits to be sent to them, `sent_bytes` what was."""

    clients: int
    users: int
    streams: int
    subscriptions: int
    outbox_bytes: int
    sent_bytes: int
    loop_lag_s: float
