"""Connections at the hub of an api that runs in this process, without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.permissions import Permission
from realtime.connection import Connection, ConnectionLimits
from realtime.hub import Hub
from realtime.identity import Identity
from tests.api.conftest import Person
from tests.realtime.cable import identifier


class Socket:
    """A connection of somebody."""

    def __init__(self, hub: Hub, account_id: UUID, user_id: UUID, name: str) -> None:
        async def nowhere(_text: str) -> None:
            pass

        whose = Identity(
            user_id, account_id, name, "", frozenset(Permission), datetime.now(UTC) + timedelta(hours=1), uuid4().hex
        )
        self.hub = hub
        self.connection = Connection(uuid4().hex, whose, nowhere, ConnectionLimits())
        hub.enter(self.connection)

    async def hear(self, session_id: UUID) -> str:
        self.name = identifier("ChatSessionChannel", session_id=str(session_id))
        self.stream = f"chat_session_{session_id}"
        await self.hub.attach(self.connection, self.name, [self.stream])
        return self.stream

    def leave(self) -> None:
        self.hub.detach(self.connection, self.name, [self.stream])
        self.hub.leave(self.connection)


def of(person: Person, hub: Hub, name: str = "Ada") -> Socket:
    return Socket(hub, person.tenant.account_id, person.tenant.user_id, name)
