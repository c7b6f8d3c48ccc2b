"""A webhook as it came, and what it holds. Part of the adapters' protocol; see base.py."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.message import InboundEvent


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A webhook exactly as it came. `headers`: lower-case name -> all values, so that a duplicate can be refused.

    `received_at`: Unix seconds, the time of items that carry none of their own (a pressed button).
    """

    method: str
    headers: Mapping[str, Sequence[str]]
    query: Mapping[str, str]
    body: bytes
    received_at: float = field(default_factory=time.time)

    def header(self, name: str) -> str | None:
        """Return the header's value; None where it is missing or was sent more than once."""
        values = self.headers.get(name.lower(), ())
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """A literal answer that a platform asks for: to a handshake, or beside the items that are stored first."""

    body: bytes
    content_type: str = "text/plain"
    status: int = 200


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """What a verified webhook holds: any number of items, or a handshake to be answered literally.

    A `reply` beside items is the webhook's answer once they are stored; that it was heard is never known.
    """

    events: tuple[InboundEvent, ...] = ()
    reply: WebhookReply | None = None
