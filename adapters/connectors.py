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
from adapters.guard import WayOut
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

    `trouble`: nothing was heard, the connection broke, in words; it is being made again. `whole`: where a bot has several
    connections, whether all of them stand.
    """

    raw: bytes
    events: tuple[InboundEvent, ...]
    position: Mapping[str, str]
    trouble: str | None = None
    whole: bool = True


class Connector(Protocol):
    """One platform's socket. Registered by `@register_connector("name")` beside the platform's adapter."""

    def run(self, channel: ChannelContext, position: Mapping[str, str]) -> AsyncIterator[Heard]:
        """Listen for ever, from `position` on (empty: from now on). Raises ConnectorStoppedError.

        Repeats after a reconnection carry the same dedup keys.
        """
        ...


ConnectorFactory = Callable[[Outside], Connector]
F = TypeVar("F", bound=ConnectorFactory)


@dataclass(frozen=True, slots=True)
class _Registered:
    factory: ConnectorFactory
    transport: str | None


_connectors: dict[Platform, _Registered] = {}


def register_connector(name: str, *, transport: str | None = None) -> Callable[[F], F]:
    """Register a connector class under its platform's name.

    `transport`: it is used instead of the webhook, where a channel's `configuration.transport` says this; else beside it, always.
    """

    def add(factory: F) -> F:
        _connectors[Platform(name)] = _Registered(factory, transport)
        return factory

    return add


def _known(platform: str) -> _Registered | None:
    platform_names()  # imports them all
    return _connectors.get(Platform(platform))


def has_socket(platform: str, configuration: Mapping[str, object]) -> bool:
    """Whether a channel speaks over a connection that we hold."""
    known = _known(platform)
    return known is not None and known.transport in {None, configuration.get("transport")}


def transport_of(platform: str) -> str | None:
    """Return what a platform offers instead of its webhook, as `configuration.transport` names it; None for nothing."""
    known = _known(platform)
    return known.transport if known else None


def socket_kinds() -> list[str]:
    """Return which channels have a connection, sorted: `platform`, or `platform:transport`."""
    platforms = [(name, _known(name)) for name in platform_names()]
    return [name if known.transport is None else f"{name}:{known.transport}" for name, known in platforms if known]


class Connectors:
    """The connectors of one process: one is made for each connection."""

    def __init__(
        self, http: httpx2.AsyncClient, api_base: Mapping[str, str] | None = None, tenants: WayOut | None = None
    ) -> None:
        self._http = http
        self._bases = api_base or {}
        self._tenants = tenants

    def make(self, platform: str) -> Connector:
        """Return a new connector. Raises KeyError where the platform has none."""
        return _connectors[Platform(platform)].factory(Outside(self._http, self._bases.get(platform), self._tenants))


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
        return replace(event, late=True)
    return event


def remember(places: dict[str, str], chat: str, mark: str) -> None:
    """Keep the last thing seen in a chat; of too many chats the longest silent is forgotten."""
    places.pop(chat, None)
    places[chat] = mark
    while len(places) > REMEMBERED_CHATS:
        places.pop(next(iter(places)))
