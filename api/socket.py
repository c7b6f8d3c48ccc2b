"""What the hub is handed: how to know a caller, what to look up, what an order does. Wired by app.py."""

from __future__ import annotations

from typing import TypeVar, cast
from uuid import UUID

from api.deps import authenticate
from api.finders import FINDERS
from api.orders import HANDLERS
from api.services import Services
from domain.errors import AuthenticationError
from realtime.commands import Order
from realtime.identity import Identity, granted

V = TypeVar("V")
R = TypeVar("R")


class SocketDesk:
    """Implements the hub's `Authenticate`, `Resources` and `Commands`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def authenticate(self, token: str) -> Identity:
        """Admit people with an access token. Raises AuthenticationError."""
        principal = await authenticate(self._services, token)
        if principal.user_id is None or principal.claims is None:
            raise AuthenticationError("A service token opens no socket")
        return Identity(
            user_id=principal.user_id,
            account_id=principal.account_id,
            name=principal.name,
            email=principal.email or "",
            permissions=granted(frozenset(permission.value for permission in principal.permissions)),
            expires_at=principal.claims.expires_at,
            token_id=principal.claims.token_id,
        )

    async def find(self, kind: type[V], account_id: UUID, key: str) -> V | None:
        """Find a thing of the account. Raises UnavailableError."""
        async with self._services.db.account(account_id) as conn:
            return cast("V | None", await FINDERS[kind](conn, key))

    async def run(self, identity: Identity, order: Order[R]) -> R:
        """Carry out an order. Raises domain errors."""
        return cast("R", await HANDLERS[type(order)](self._services, identity, order))
