"""What each order of people at a socket does; the rules are those of the REST routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from api import orders_runs, orders_teams
from api.deps import principal
from api.mcp import cable as mcp
from api.messages import send_as_operator
from api.services import Services
from db import session_views
from domain.errors import InvalidInputError, NotFoundError
from domain.permissions import Permission
from realtime.commands import Order, SendMessage
from realtime.identity import Identity

Handler = Callable[[Services, Identity, Any], Awaitable[object]]


async def _send_message(services: Services, identity: Identity, order: SendMessage) -> None:
    """Answer in the chat session that a conversation belongs to, as an operator. Raises domain errors."""
    async with services.db.account(identity.account_id) as conn:
        session_id = await session_views.session_of_conversation(conn, order.conversation_id)
    if session_id is None:
        raise NotFoundError("This conversation belongs to no chat session")
    if not identity.may(Permission.SESSIONS_REPLY):
        raise InvalidInputError("You may not answer in this session")
    await send_as_operator(services, principal(identity), session_id, order.content, order.client_id)


HANDLERS: Final[Mapping[type[Order[Any]], Handler]] = {
    SendMessage: _send_message,
    **mcp.HANDLERS,
    **orders_runs.HANDLERS,
    **orders_teams.HANDLERS,
}
