"""What a channel says to one subscriber: its greeting, answers to actions, and the state to begin from."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import orjson
from pydantic import BaseModel

from domain.events.base import Event
from realtime.channel import Caller

P = TypeVar("P", bound=BaseModel)


def say(caller: Caller[P], kind: str, **fields: object) -> None:
    """Answer a subscriber with `{type, …, timestamp}`; views are serialised as in events."""
    body = {"type": kind, **fields, "timestamp": datetime.now(UTC).isoformat()}
    caller.transmit(orjson.dumps(body, default=_plain))


def greet(caller: Caller[P], **fields: object) -> None:
    """Confirm a subscription in the channel's own words."""
    say(caller, "subscription.confirmed", **fields)


def show_initial(caller: Caller[P], event: Event) -> None:
    """Show the state as it is now; its view's `version` orders it among the events already on their way."""
    caller.transmit(orjson.dumps(event.model_dump(mode="json") | {"is_initial_status": True}))


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError
