"""A conversation with one person (or one thread) on one channel: its states and who owns the answer."""

from __future__ import annotations

from enum import StrEnum


class SessionStatus(StrEnum):
    """Life of a session; a closed one is reopened by the next message (its `epoch` grows)."""

    ACTIVE = "active"
    IDLE = "idle"
    CLOSED = "closed"
    BLOCKED = "blocked"


class Owner(StrEnum):
    """Who answers: no AI message is claimed for sending while a human owns the session (OWNER)."""

    AI = "ai"
    HUMAN = "human"


IDLE_AFTER_S = 24 * 3600
CLOSE_AFTER_S = 7 * 24 * 3600
CONTEXT_MESSAGES = 50
"""How many messages of a conversation an agent is shown."""
