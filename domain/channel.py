"""A connection to a platform: its statuses, how it treats messages that come while an answer is being made."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

Platform = NewType("Platform", str)
"""A platform's name; which names exist is known by the adapters' registry alone."""


class ChannelStatus(StrEnum):
    """Whether a channel can receive and send."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    ERROR = "error"


class BusyMode(StrEnum):
    """What happens to a message that arrives while a turn runs (`configuration.busy_mode`)."""

    QUEUE = "queue"
    COLLECT = "collect"
    STEER = "steer"
    INTERRUPT = "interrupt"


class AmbiguousPolicy(StrEnum):
    """What to do with a send whose outcome is not known and cannot be looked up (`configuration.ambiguous_policy`)."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"
