"""What MCP clients may read by an address, and on which stream its changes are told.

`powernode://sessions/{id}`, `powernode://conversations/{id or public id}`, `powernode://channels/{id}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import mcp_types as types
from pydantic import BaseModel

from api.mcp.tool import Call
from api.mcp.tools import chat
from db import channel_views, session_views
from domain.errors import NotFoundError, PermissionDeniedError
from domain.events.chat import channel_stream, conversation_stream, session_stream
from domain.ids import as_uuid
from domain.permissions import Permission

SCHEME: Final = "powernode"
LISTED: Final = 50
"""How many of a kind are listed; all others are read by their address, or found by a tool."""
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Found:
    """A resource as it is now: its one address, its stream and its content."""

    uri: str
    stream: str
    content: BaseModel


def _uuid(key: str) -> UUID:
    found = as_uuid(key)
    if found is None:
        raise NotFoundError("No such resource")
    return found


async def _session(call: Call, key: str) -> Found:
    async with call.services.db.account(call.principal.account_id) as conn:
        view = await session_views.get(conn, _uuid(key))
    return Found(f"{SCHEME}://sessions/{view.id}", session_stream(view.id), view)


async def _channel(call: Call, key: str) -> Found:
    view = (await chat.show_channel(call, chat.OfChannel(channel_id=_uuid(key)))).channel
    return Found(f"{SCHEME}://channels/{view.id}", channel_stream(view.id), view)


async def _conversation(call: Call, key: str) -> Found:
    view = await chat.read_conversation(
        call, chat.ReadConversation.model_validate({"conversation_id": key, "limit": 100})
    )
    public = view.conversation_id
    return Found(f"{SCHEME}://conversations/{public}", conversation_stream(public), view)


_READERS: Final[Mapping[str, tuple[Permission, Callable[[Call, str], Awaitable[Found]]]]] = {
    "sessions": (Permission.SESSIONS_READ, _session),
    "conversations": (Permission.CONVERSATIONS_READ, _conversation),
    "channels": (Permission.CHANNELS_READ, _channel),
}


async def read(call: Call, uri: str) -> Found:
    """Return what an address leads to. Raises NotFoundError, PermissionDeniedError."""
    parts = urlsplit(uri)
    reader = _READERS.get(parts.netloc)
    key = parts.path.removeprefix("/")
    if parts.scheme != SCHEME or reader is None or not 0 < len(key) <= 64 or "/" in key or parts.query:
        raise NotFoundError("No such resource")
    if not call.may(reader[0]):
        raise PermissionDeniedError(f"This needs the permission {reader[0].value}")
    return await reader[1](call, key)


async def listing(call: Call) -> list[types.Resource]:
    """Return the latest sessions and channels that the caller may read."""
    found: list[types.Resource] = []
    async with call.services.db.account(call.principal.account_id) as conn:
        if call.may(Permission.CHANNELS_READ):
            channels, _ = await channel_views.listing(
                conn, platform=None, status=None, active=False, limit=LISTED, offset=0
            )
            found += [_resource("channels", one.id, one.name, f"{one.platform}, {one.status}") for one in channels]
        if call.may(Permission.SESSIONS_READ):
            sessions, _ = await session_views.listing(conn, limit=LISTED)
            found += [
                _resource("sessions", one.id, one.platform_username or one.platform_user_id, one.status)
                for one in sessions
            ]
    return found


def _resource(kind: str, row_id: UUID, name: str, description: str) -> types.Resource:
    return types.Resource(uri=f"{SCHEME}://{kind}/{row_id}", name=name, description=description, mime_type=_JSON)


def templates(call: Call) -> list[types.ResourceTemplate]:
    """Return the kinds of addresses that the caller may read."""
    return [
        types.ResourceTemplate(uri_template=f"{SCHEME}://{kind}/{{id}}", name=kind, mime_type=_JSON)
        for kind, (permission, _) in _READERS.items()
        if call.may(permission)
    ]
