"""Who may come in to the hub, by whatever way: origin, room, token. The apps of server.py and events.py ask it.

It answers with a status or an identity; how a caller is told, each way knows for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from domain.errors import AuthenticationError
from realtime import upgrade
from realtime.hub import Hub
from realtime.identity import Authenticate, Identity
from realtime.upgrade import Scope

AddressOf = Callable[[Scope], str]
"""Scope -> the caller's address, as connections are counted by."""

LATER: Final = frozenset({429, 503})
"""Statuses after which it is worth coming back."""


class Door:
    """One a process, for all ways in. `allowed_origins`: scheme, host and port each, or `*`; the own host is always in."""

    def __init__(
        self,
        hub: Hub,
        authenticate: Authenticate,
        allowed_origins: Collection[str],
        address_of: AddressOf | None = None,
    ) -> None:
        self._hub = hub
        self.authenticate = authenticate
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)
        self.address_of = address_of or upgrade.peer

    def admits_origin(self, headers: Mapping[str, str]) -> bool:
        """Requests without an Origin come from no browser; a page of this very host is always welcome."""
        origin = headers.get("origin")
        if origin is None or "*" in self._origins or origin.lower() in self._origins:
            return True
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""

    def refusal(self, address: str) -> int:
        """Return the status to refuse a newcomer with before anything is looked up, 0 to let it try."""
        return self._hub.admission.refusal(address) if self._hub.accepting else 503

    async def identify(self, tokens: list[str]) -> Identity:
        """Return who the first token belongs to. Raises AuthenticationError, UnavailableError, TimeoutError."""
        if not tokens:
            raise AuthenticationError
        async with asyncio.timeout(self._hub.settings.authenticate_timeout_s):
            return await self.authenticate(tokens[0])
