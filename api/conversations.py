"""AI conversations: their messages, spelled as the socket spells them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.deps import Desk, Principal, allow
from api.envelope import done
from api.openapi import shows
from db import message_views, session_views
from domain.errors import NotFoundError
from domain.permissions import Permission
from domain.views import ConversationMessageView, View

Sequence = Annotated[int | None, Query(ge=0, le=2**62)]

router = APIRouter(prefix="/api/v1/ai/conversations", tags=["conversations"])


class ConversationCursors(View):
    """What to ask for next: `before=oldest_cursor` or `after=newest_cursor`."""

    oldest_cursor: int | None
    newest_cursor: int | None
    has_older: bool
    has_newer: bool
    total_count: int


@router.get(
    "/{conversation_id}/messages",
    summary="List a conversation's messages",
    responses=shows("ConversationMessages", messages=list[ConversationMessageView], pagination=ConversationCursors),
)
async def messages(
    *,
    conversation_id: str,
    desk: Desk,
    caller: Annotated[Principal, allow(Permission.CONVERSATIONS_READ)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Sequence = None,
    after: Sequence = None,
) -> dict[str, Any]:
    """Oldest first: the latest ones, or those next to `before` or `after` (sequence numbers). `after` pages upwards, so
    that a reader who was away misses none.
    """
    async with desk.db.account(caller.account_id) as conn:
        found = await session_views.find_conversation(conn, conversation_id)
        if found is None:
            raise NotFoundError("No such conversation")
        items = await message_views.of_conversation(conn, found[0], before=before, after=after, limit=limit)
        newest, total = await session_views.conversation_extent(conn, found[0])
    pagination = ConversationCursors(
        oldest_cursor=items[0].sequence_number if items else None,
        newest_cursor=items[-1].sequence_number if items else None,
        has_older=bool(items) and items[0].sequence_number > 1,
        has_newer=bool(items) and items[-1].sequence_number < newest,
        total_count=total,
    )
    return done(messages=items, pagination=pagination)
