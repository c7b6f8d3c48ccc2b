"""Kinds of things that channels look up and that have no view of their own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerService:
    """A service that at least one circuit breaker of the account guards."""

    name: str
