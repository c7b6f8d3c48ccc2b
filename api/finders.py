"""How each kind of thing that channels look up is found in the entered account, by the text of its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api import finders_devops, finders_runs, finders_teams
from api.finding import Finder, by_id
from db import channel_status, session_views
from domain.views import ChannelSummaryView, SessionView
from realtime.channel import ConversationRef


async def _conversation(conn: AsyncConnection, key: str) -> ConversationRef | None:
    found = await session_views.find_conversation(conn, key)
    return None if found is None else ConversationRef(*found)


FINDERS: Final[Mapping[type, Finder]] = {
    ChannelSummaryView: by_id(channel_status.find),
    ConversationRef: _conversation,
    SessionView: by_id(session_views.find),
    **finders_runs.FINDERS,
    **finders_teams.FINDERS,
    **finders_devops.FINDERS,
}
