"""Sockets that platforms speak over: the protocol of a connector, what all of them share, and which ones exist.

A connector is the one part of an adapter that lives on: it connects, keeps the connection alive, connects again and reads
what was missed. It stores nothing: each thing heard comes with the position to go on from, which the caller keeps once the
items are stored. Exactly one may run for a bot; that is the caller's care too.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

import httpx2

from adapters.base import ChannelContext
from adapters.registry import Outside, platform_names
from domain.channel import Platform
from domain.errors import PowernodeError
from domain.message import InboundEvent

DICE: Final = random.Random()
"""Our own: the module's is shared with whoever seeds it, property tests among them."""
REMEMBERED_CHATS: Final = 1000
CATCH_UP_S: Final = 900.0
"""What was said longer ago, while nobody listened, is stored and not answered (`configuration.catch_up_s`)."""


class ConnectorStoppedError(PowernodeError):
    """The platform refuses the connection for good; the message says what to do."""

    code, http_status = "CONNECTION_REFUSED", 502


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard at once. `position`: where to go on from once the items are stored. No items: the position alone.

    `trouble`: nothing was heard, the connection broke, in words; it is being made again.
    """

    raw: bytes
    events: tuple[InboundEvent, ...]
    position: Mapping[str, str]
    trouble: str | None = None


class Connector(Protocol):
    """One platform's socket. Registered by `@register_connector("name")` beside the platform's adapter."""

    def run(self, channel: ChannelContext, position: Mapping[str, str]) -> AsyncIterator[Heard]:
        """Listen for ever, from `position` on (empty: from now on). Raises ConnectorStoppedError.

        Repeats after a reconnection carry the same dedup keys.
        """
        ...


ConnectorFactory = Callable[[Outside], Connector]
F = TypeVar("F", bound=ConnectorFactory)
_factories: dict[Platform, ConnectorFactory] = {}


def register_connector(name: str) -> Callable[[F], F]:
    """Register a connector class under its platform's name."""

    def add(factory: F) -> F:
        _factories[Platform(name)] = factory
        return factory

    return add


def socket_platforms() -> list[Platform]:
    """Return the platforms that speak over a socket that we open, sorted. The adapters' registry imports them all."""
    return sorted(set(platform_names()) & _factories.keys())


class Connectors:
    """The connectors of one process: one is made for each connection."""

    def __init__(self, http: httpx2.AsyncClient, api_base: Mapping[str, str] | None = None) -> None:
        self._http = http
        self._bases = api_base or {}

    def make(self, platform: str) -> Connector:
        """Return a new connector. Raises KeyError where the platform has none."""
        return _factories[Platform(platform)](Outside(self._http, self._bases.get(platform)))


@dataclass(slots=True)
class Backoff:
    """Growing pauses with jitter, so that many bots do not come back in the same second."""

    first_s: float = 1.0
    largest_s: float = 60.0
    _next_s: float = 0.0

    def reset(self) -> None:
        """Begin anew: the connection worked."""
        self._next_s = 0.0

    def wait_s(self) -> float:
        """Return the next pause."""
        self._next_s = min(max(self._next_s * 2, self.first_s), self.largest_s)
        return self._next_s * DICE.uniform(0.5, 1.0)


def aged(event: InboundEvent, channel: ChannelContext, now: float) -> InboundEvent:
    """Return an item that was read after a gap; one that is too old is marked, so that nobody gets late answers."""
    limit = channel.configuration.get("catch_up_s")
    limit_s = float(limit) if isinstance(limit, int | float) and not isinstance(limit, bool) else CATCH_UP_S
    if event.ignored is None and now - event.occurred_at.timestamp() > limit_s:
        return replace(event, ignored="said too long ago, while nobody listened")
    return event


def remember(places: dict[str, str], chat: str, mark: str) -> None:
    """Keep the last thing seen in a chat; of too many chats the longest silent is forgotten."""
    places.pop(chat, None)
    places[chat] = mark
    while len(places) > REMEMBERED_CHATS:
        places.pop(next(iter(places)))
