"""A message that shows a reply while it is being made: a placeholder, which becomes the reply."""

from __future__ import annotations

from enum import StrEnum


class PreviewStatus(StrEnum):
    """How a placeholder stands. One that became the reply, or is certainly gone, has no row any more."""

    SENDING = "sending"
    """Its send has begun and was not answered: it may or may not be there."""
    SHOWN = "shown"
    LEAVING = "leaving"
    """Nothing is to become of it; it is being deleted."""
    LOST = "lost"
    """Nobody can tell whether it is there."""
    LEFT = "left"
    """It is there, and the platform does not let us delete it."""


OPEN = frozenset({PreviewStatus.SENDING, PreviewStatus.SHOWN})


class Streaming(StrEnum):
    """Whether a reply is shown while it is being made (`configuration.streaming`)."""

    EDITS = "edits"
    OFF = "off"
