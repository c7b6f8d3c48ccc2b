"""The event catalogue: one class per event = its wire name, its streams and its payload. Nothing else is published.

State-changing events go through the outbox and carry views of a committed state; deltas and typing are passing and go
straight to Redis. `docs/events.md` is generated from here.
"""

from __future__ import annotations

from typing import Final

from domain.events import chat, conversations, devops, loops, mcp, missions, people, runs, streaming, teams
from domain.events.base import Event

CATALOGUE: Final[tuple[type[Event], ...]] = (
    *chat.EVENTS,
    *mcp.EVENTS,
    *missions.EVENTS,
    *teams.EVENTS,
    *people.EVENTS,
    *devops.EVENTS,
    *conversations.EVENTS,
    *runs.EVENTS,
    *loops.EVENTS,
    *streaming.EVENTS,
)
