"""AI conversations and their messages, spelled as the socket spells them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from db import message_views, session_views
from db.conversations import CONVERSATIONS
from domain.conversation_view import ConversationDetailView
from domain.errors import NotFoundError
from domain.permissions import Permission
from domain.views import ConversationMessageView, View

Reader = Annotated[Principal, allow(Permission.CONVERSATIONS_READ)]
ConversationStatus = Literal["active", "paused", "completed", "archived"]
Sequence = Annotated[int | None, Query(ge=0, le=2**62)]

router = APIRouter(prefix="/api/v1/ai/conversations", tags=["conversations"])


class ConversationCursors(View):
    """What to ask for next: `before=oldest_cursor` or `after=newest_cursor`."""

    oldest_cursor: int | None
    newest_cursor: int | None
    has_older: bool
    has_newer: bool
    total_count: int


@router.get("", summary="List conversations", responses=listed("Conversations", ConversationDetailView))
async def listing(
    desk: Desk,
    caller: Reader,
    query: Annotated[PageQuery, Depends()],
    status: ConversationStatus | None = None,
) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await CONVERSATIONS.listing(conn, limit=query.per_page, offset=query.offset, status=status)
    return page(*found, query)


@router.get(
    "/{conversation_id}",
    summary="Show a conversation",
    responses=shows("Conversation", conversation=ConversationDetailView),
)
async def show(conversation_id: str, desk: Desk, caller: Reader) -> dict[str, Any]:
    """By its public id, or the id that its chat session names."""
    async with desk.db.account(caller.account_id) as conn:
        return done(conversation=await CONVERSATIONS.get(conn, conversation_id))


@router.get(
    "/{conversation_id}/messages",
    summary="List a conversation's messages",
    responses=shows("ConversationMessages", messages=list[ConversationMessageView], pagination=ConversationCursors),
)
async def messages(
    *,
    conversation_id: str,
    desk: Desk,
    caller: Reader,
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
