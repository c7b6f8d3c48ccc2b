"""Whether those who are connected still may be: looked at every few seconds, for tokens that live longer than a role.

A socket is let in by a token of fifteen minutes. Somebody who was put out, stopped, logged out or given another role in
between is told within `PERIOD_S`: to go, or to come back and be authorised anew. api/hub.py runs it beside the hub.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from api.services import Services
from api.tokens import LIFE
from db import principals
from db.principals import Held
from domain.errors import UnavailableError
from realtime.connection import Connection
from realtime.hub import Hub

log = structlog.stdlib.get_logger(__name__)

PERIOD_S: Final = 5.0


class Revocation:
    """One beside each hub."""

    def __init__(self, hub: Hub, services: Services) -> None:
        self._hub = hub
        self._db = services.db

    async def run(self) -> None:
        """Look until cancelled. While the database is away, what was granted stays."""
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self.look()
            except UnavailableError:
                log.info("realtime.standing_not_read")

    async def look(self) -> None:
        """Hold all sockets against the database, one statement an account. Raises UnavailableError."""
        found: dict[UUID, list[Connection]] = defaultdict(list)
        for connection in self._hub.sockets():
            found[connection.identity.account_id].append(connection)
        for account_id, connections in found.items():
            await self._hold(account_id, connections)

    async def _hold(self, account_id: UUID, connections: Sequence[Connection]) -> None:
        before = [connection.identity for connection in connections]
        held = [Held(who.user_id, who.token_id, who.expires_at - LIFE["access"]) for who in before]
        async with self._db.account(account_id) as conn:
            granted = await principals.still_granted(conn, account_id, held)
        for connection, identity, permissions in zip(connections, before, granted, strict=True):
            if connection.identity is not identity:
                continue  # it brought a new token meanwhile, and was looked at for that
            if permissions is None:
                connection.end("unauthorized", reconnect=False)
            elif frozenset(permission.value for permission in permissions) != identity.permissions:
                connection.end("permissions_changed", reconnect=True)
