"""AI conversations: their messages, spelled as the socket spells them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.deps import Desk, Principal, allow
from api.envelope import done
from db import session_views
from domain.errors import NotFoundError
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/ai/conversations", tags=["conversations"])


@router.get("/{conversation_id}/messages", summary="List a conversation's messages")
async def messages(
    *,
    conversation_id: str,
    desk: Desk,
    caller: Annotated[Principal, allow(Permission.CONVERSATIONS_READ)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: int | None = None,
    after: int | None = None,
) -> dict[str, Any]:
    """Oldest first; `before` and `after` are sequence numbers."""
    async with desk.db.account(caller.account_id) as conn:
        found = await session_views.find_conversation(conn, conversation_id)
        if found is None:
            raise NotFoundError("No such conversation")
        items = await session_views.conversation_messages(conn, found[0], before=before, after=after, limit=limit)
    pagination = {
        "oldest_cursor": items[0].sequence_number if items else None,
        "newest_cursor": items[-1].sequence_number if items else None,
        "has_older": bool(items) and items[0].sequence_number > 1,
    }
    return done(messages=items, pagination=pagination)
