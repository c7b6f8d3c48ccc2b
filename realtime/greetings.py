"""What channels say to one subscriber by themselves: frames with a time, and the first state of a thing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from domain.events.base import Event
from realtime.channel import Caller


def say(caller: Caller[Any], kind: str, **fields: object) -> None:
    """Send a frame of this type, with the time."""
    caller.transmit(orjson.dumps({"type": kind, **fields, "timestamp": datetime.now(UTC).isoformat()}, default=str))


def show(caller: Caller[Any], event: Event) -> None:
    """Send an event as how things are now; the view's `version` orders it among those already on their way."""
    caller.transmit(orjson.dumps(event.model_dump(mode="json") | {"is_initial_status": True}))
