"""Refusals of the real-time hub's own; each is one of the domain's, so that the usual handlers know what to do."""

from __future__ import annotations

from domain.errors import PayloadTooLargeError, UnavailableError


class RealtimeUnavailableError(UnavailableError):
    """Redis does not answer just now. The event may or may not be out: publish it again under the same event id."""

    code = "REALTIME_UNAVAILABLE"


class EventTooLargeError(PayloadTooLargeError):
    """An event over the size guard; publishing it again cannot help, send a reference instead."""

    code = "EVENT_TOO_LARGE"


class FrameError(Exception):
    """What a client sent is not a command; the message names the fault and quotes nothing of it."""


class RejectedError(Exception):
    """This subscription is not for this caller: foreign, unknown and malformed look the same."""
