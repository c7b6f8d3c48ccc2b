"""What the hub is handed: how to know a caller, what to look up, what a command does. Wired by app.py."""

from __future__ import annotations

from uuid import UUID

from api.deps import Principal, authenticate
from api.messages import send_as_operator
from api.services import Services
from db import channel_status, session_views
from domain.errors import AuthenticationError, InvalidInputError, NotFoundError
from domain.permissions import Permission
from domain.views import ChannelSummaryView, SessionView
from realtime.channel import ConversationRef
from realtime.identity import Identity


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
            permissions=frozenset(permission.value for permission in principal.permissions),
            expires_at=principal.claims.expires_at,
            token_id=principal.claims.token_id,
        )

    async def conversation(self, account_id: UUID, conversation_id: str) -> ConversationRef | None:
        """Find an AI conversation of the account by either id."""
        async with self._services.db.account(account_id) as conn:
            found = await session_views.find_conversation(conn, conversation_id)
        return None if found is None else ConversationRef(found[0], found[1])

    async def session(self, account_id: UUID, session_id: UUID) -> SessionView | None:
        """Find a session of the account."""
        async with self._services.db.account(account_id) as conn:
            return await session_views.find(conn, session_id)

    async def chat_channel(self, account_id: UUID, channel_id: UUID) -> ChannelSummaryView | None:
        """Find a channel of the account."""
        async with self._services.db.account(account_id) as conn:
            return await channel_status.find(conn, channel_id)

    async def send_message(
        self, identity: Identity, conversation_id: UUID, content: str, client_id: str | None = None
    ) -> None:
        """Answer in the chat session that a conversation belongs to, as an operator. Raises domain errors."""
        async with self._services.db.account(identity.account_id) as conn:
            session_id = await session_views.session_of_conversation(conn, conversation_id)
        if session_id is None:
            raise NotFoundError("This conversation belongs to no chat session")
        if not identity.may(Permission.SESSIONS_REPLY):
            raise InvalidInputError("You may not answer in this session")
        caller = Principal(
            identity.account_id,
            identity.user_id,
            identity.name,
            identity.email,
            frozenset(Permission(name) for name in identity.permissions),
        )
        await send_as_operator(self._services, caller, session_id, content, client_id)
