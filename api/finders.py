"""How each kind of thing that channels look up is found in the entered account, by the text of its id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.finders_runs import RUN_FINDERS
from db import channel_status, session_views
from domain.views import ChannelSummaryView, SessionView
from realtime.channel import ConversationRef

V = TypeVar("V")
Finder = Callable[[AsyncConnection, str], Awaitable[object | None]]


def by_id(
    find: Callable[[AsyncConnection, UUID], Awaitable[V | None]],
) -> Callable[[AsyncConnection, str], Awaitable[V | None]]:
    """Return a finder by UUID; what is no UUID is not found."""

    async def finder(conn: AsyncConnection, key: str) -> V | None:
        try:
            row_id = UUID(key)
        except ValueError:
            return None
        return await find(conn, row_id)

    return finder


async def _conversation(conn: AsyncConnection, key: str) -> ConversationRef | None:
    found = await session_views.find_conversation(conn, key)
    return None if found is None else ConversationRef(*found)


FINDERS: Final[Mapping[type, Finder]] = {
    **RUN_FINDERS,
    ChannelSummaryView: by_id(channel_status.find),
    ConversationRef: _conversation,
    SessionView: by_id(session_views.find),
}
