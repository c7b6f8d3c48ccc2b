"""Messages of chat sessions: read them, answer as an operator, send again what did not arrive."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from adapters.composing import compose
from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.message_bodies import MessageBody, extras_of
from api.openapi import Cursors, Pagination, listed, shows
from api.services import Services
from db import message_views, operator_messages, session_views
from db.outgoing import Outgoing, Part
from domain.errors import InvalidInputError
from domain.message import Direction, MessageType
from domain.outbound import described, type_of
from domain.permissions import Permission
from domain.sanitize import storable
from domain.views import MessageDetailsView, MessageView, TroubledPartView

router = APIRouter(prefix="/api/v1/chat", tags=["messages"])

Reader = Annotated[Principal, allow(Permission.SESSIONS_READ)]
Replier = Annotated[Principal, allow(Permission.SESSIONS_REPLY)]
Page = Annotated[PageQuery, Depends()]


@router.get(
    "/sessions/{session_id}/messages",
    summary="List a session's messages",
    responses=listed("Messages", MessageView, Pagination | Cursors),
)
async def listing(
    *,
    session_id: UUID,
    desk: Desk,
    caller: Reader,
    query: Page,
    direction: Direction | None = None,
    type: MessageType | None = None,  # noqa: A002 - the contract's name
    since: datetime | None = None,
    before: UUID | None = None,
    after: UUID | None = None,
) -> dict[str, Any]:
    """Newest first, each with its delivery's detail. By `page`; or by `before` or `after` (a message's id): the
    `per_page` messages next to it, which stay the same while others arrive.
    """
    if before is not None or after is not None:
        if before is not None and after is not None:
            raise InvalidInputError("before, after: only one of them")
        edge, newer = (after, True) if after is not None else (before, False)
        assert edge is not None
        async with desk.db.account(caller.account_id) as conn:
            items, more = await message_views.beside(conn, session_id, edge, newer=newer, limit=query.per_page)
        return _cursors(items, newer=newer, more=more, per_page=query.per_page)
    async with desk.db.account(caller.account_id) as conn:
        items, total = await message_views.listing(
            conn,
            session_id,
            direction=direction,
            message_type=type,
            since=since,
            limit=query.per_page,
            offset=query.offset,
        )
    return page(items, total, query)


def _cursors(items: list[MessageView], *, newer: bool, more: bool, per_page: int) -> dict[str, Any]:
    pagination = Cursors(
        per_page=per_page,
        oldest_cursor=str(items[-1].id) if items else None,
        newest_cursor=str(items[0].id) if items else None,
        has_older=newer or more,
        has_newer=more if newer else True,
    )
    return done(items=items, pagination=pagination)


@router.get(
    "/sessions/{session_id}/messages/{message_id}",
    summary="Show a message",
    responses=shows("Message", message=MessageDetailsView),
)
async def show(session_id: UUID, message_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """In full, with the raw and the sanitised text."""
    async with desk.db.account(caller.account_id) as conn:
        return done(message=await message_views.get(conn, session_id, message_id))


async def send_as_operator(
    desk: Services, caller: Principal, session_id: UUID, content: str, client_id: str | None
) -> MessageView:
    """Store an operator's words and let the session's workflow deliver them. Raises NotFoundError, ConflictError."""
    if not storable(content).strip():
        raise InvalidInputError("content: must not be blank")
    return await _send(desk, caller, session_id, MessageBody(content=content, client_id=client_id))


async def _send(desk: Services, caller: Principal, session_id: UUID, body: MessageBody) -> MessageView:
    async with desk.db.account(caller.account_id) as conn:
        session = await session_views.get(conn, session_id)
        extras = await extras_of(conn, session_id, body)
        parts = compose(desk.platforms.get(session.platform), body.text, extras)
        view, aggregate = await operator_messages.record_operator_message(
            conn,
            caller.account_id,
            Outgoing(
                session_id=session_id,
                content="\n".join(filter(None, (body.text, *map(described, extras)))),
                parts=[Part(part.body, part.plain, part.payload) for part in parts],
                trace_id=secrets.token_hex(8),
                user_id=caller.user_id,
                user_name=caller.name,
                client_id=body.client_id,
                signal=True,
                message_type=type_of(extras[0] if extras else None),
            ),
        )
    if aggregate is not None:
        desk.dispatcher.notify(aggregate)
    return view


@router.post(
    "/sessions/{session_id}/messages",
    status_code=201,
    summary="Answer as an operator",
    responses=shows("MessageSent", 201, message=MessageView),
)
async def send(session_id: UUID, body: MessageBody, desk: Desk, caller: Replier) -> dict[str, Any]:
    """Stored at once, delivered in its order; follow its status by `ChatSessionChannel` or by reading it again."""
    return done(message=await _send(desk, caller, session_id, body))


@router.post(
    "/sessions/{session_id}/messages/{message_id}/retry",
    summary="Send again what did not arrive",
    responses=shows("MessageRetried", message=MessageDetailsView),
)
async def retry(session_id: UUID, message_id: UUID, desk: Desk, caller: Replier) -> dict[str, Any]:
    """Starts a new generation of the message's dead and unknown parts; 409 when it has none."""
    async with desk.db.account(caller.account_id) as conn:
        await message_views.get(conn, session_id, message_id)
        aggregate = await operator_messages.retry_message(conn, caller.account_id, session_id, message_id)
        view = await message_views.get(conn, session_id, message_id)
    desk.dispatcher.notify(aggregate)
    return done(message=view)


@router.get(
    "/troubled",
    summary="List parts that could not be delivered, or may not have been",
    responses=listed("Troubled", TroubledPartView),
)
async def troubled(
    desk: Desk, caller: Annotated[Principal, allow(Permission.OPERATIONS_READ)], query: Page
) -> dict[str, Any]:
    """Every part that ended `dead` or `unknown`, with its reason: nothing is ever silently lost."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await message_views.troubled(conn, limit=query.per_page, offset=query.offset)
    return page(items, total, query)
