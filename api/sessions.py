"""Chat sessions: read, answer as an operator, take over and hand back, and what could not be delivered."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.services import Services
from db import operator_messages, session_commands, session_views
from db.outgoing import Outgoing, Part
from db.session_commands import Command
from domain.errors import InvalidInputError, NotFoundError
from domain.permissions import Permission
from domain.sanitize import storable
from domain.session import Owner, SessionStatus
from domain.views import MessageView

router = APIRouter(prefix="/api/v1/chat", tags=["sessions"])

Reader = Annotated[Principal, allow(Permission.SESSIONS_READ)]
Replier = Annotated[Principal, allow(Permission.SESSIONS_REPLY)]
Manager = Annotated[Principal, allow(Permission.SESSIONS_MANAGE)]
Page = Annotated[PageQuery, Depends()]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MessageBody(_Body):
    """An operator's answer. `client_id` makes a repeat harmless."""

    content: str = Field(min_length=1, max_length=40_000)
    message_type: str = Field("text", pattern="^text$")
    client_id: str | None = Field(None, max_length=100)


class CommandBody(_Body):
    """`owner_version` as last seen makes the command fail with 409 when somebody was faster."""

    reason: str | None = Field(None, max_length=500)
    owner_version: int | None = None


class AssignBody(CommandBody):
    """Which agent answers from now on."""

    agent_id: UUID


@router.get("/sessions", summary="List sessions")
async def listing(
    *,
    desk: Desk,
    caller: Reader,
    query: Page,
    channel_id: UUID | None = None,
    status: SessionStatus | None = None,
    agent_id: UUID | None = None,
    active: bool = False,
    platform_user_id: str | None = None,
    since: datetime | None = None,
) -> dict[str, Any]:
    """The latest activity first."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await session_views.listing(
            conn,
            channel_id=channel_id,
            status=status,
            agent_id=agent_id,
            user=platform_user_id,
            since=since,
            active=active,
            limit=query.per_page,
            offset=query.offset,
        )
    return page(items, total, query)


@router.get("/sessions/{session_id}", summary="Show a session")
async def show(session_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """In full, with its owner and the public id of its AI conversation."""
    async with desk.db.account(caller.account_id) as conn:
        return done(session=await session_views.get(conn, session_id))


@router.get("/sessions/{session_id}/messages", summary="List a session's messages")
async def messages(
    *,
    session_id: UUID,
    desk: Desk,
    caller: Reader,
    query: Page,
    direction: str | None = None,
    type: str | None = None,  # noqa: A002 - the contract's name
    since: datetime | None = None,
) -> dict[str, Any]:
    """Newest first, each with its delivery's detail."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await session_views.messages(
            conn,
            session_id,
            direction=direction,
            message_type=type,
            since=since,
            limit=query.per_page,
            offset=query.offset,
        )
    return page(items, total, query)


@router.get("/sessions/{session_id}/messages/{message_id}", summary="Show a message")
async def message(session_id: UUID, message_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """In full, with the raw and the sanitised text."""
    async with desk.db.account(caller.account_id) as conn:
        return done(message=await session_views.message(conn, session_id, message_id))


async def send_as_operator(
    desk: Services, caller: Principal, session_id: UUID, content: str, client_id: str | None
) -> MessageView:
    """Store an operator's answer and let the session's workflow deliver it. Raises NotFoundError, ConflictError."""
    text = storable(content).strip()
    if not text:
        raise InvalidInputError("content: must not be blank")
    async with desk.db.account(caller.account_id) as conn:
        session = await session_views.get(conn, session_id)
        rendered = desk.platforms.get(session.platform).render(text)
        view, aggregate = await operator_messages.record_operator_message(
            conn,
            Outgoing(
                session_id=session_id,
                content=text,
                parts=[Part(part.body, part.plain) for part in rendered],
                trace_id=secrets.token_hex(8),
                user_id=caller.user_id,
                user_name=caller.name,
                client_id=client_id,
                signal=True,
            ),
        )
    if aggregate is not None:
        desk.dispatcher.notify(aggregate)
    return view


@router.post("/sessions/{session_id}/messages", status_code=201, summary="Answer as an operator")
async def send(session_id: UUID, body: MessageBody, desk: Desk, caller: Replier) -> dict[str, Any]:
    """Stored at once, delivered in its order; follow its status by `ChatSessionChannel` or by reading it again."""
    view = await send_as_operator(desk, caller, session_id, body.content, body.client_id)
    return done(message=view)


@router.post("/sessions/{session_id}/messages/{message_id}/retry", summary="Send again what did not arrive")
async def retry(session_id: UUID, message_id: UUID, desk: Desk, caller: Replier) -> dict[str, Any]:
    """Starts a new generation of the message's dead and unknown parts; 409 when it has none."""
    async with desk.db.account(caller.account_id) as conn:
        await session_views.message(conn, session_id, message_id)
        aggregate = await operator_messages.retry_message(conn, caller.account_id, session_id, message_id)
    desk.dispatcher.notify(aggregate)
    return await message(session_id, message_id, desk, caller)


async def _command(desk: Services, caller: Principal, command: Command) -> dict[str, Any]:
    async with desk.db.account(caller.account_id) as conn:
        changed = await session_commands.apply(conn, command)
    desk.dispatcher.notify(changed.aggregate)
    claimed = [{"message_id": str(message_id), "part": part} for message_id, part in changed.claimed]
    return done(session=changed.session, already_sending=claimed)


def _user(caller: Principal) -> UUID:
    if caller.user_id is None:
        raise NotFoundError("Only a person can do this")
    return caller.user_id


@router.post("/sessions/{session_id}/take_over", summary="Take a session over")
async def take_over(session_id: UUID, body: CommandBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """From now on no part of an AI message is sent; `data.already_sending` lists what could not be called back."""
    command = Command(session_id, _user(caller), owner=Owner.HUMAN, seen_version=body.owner_version)
    return await _command(desk, caller, command)


@router.post("/sessions/{session_id}/hand_back", summary="Hand a session back to the agent")
async def hand_back(session_id: UUID, body: CommandBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The agent answers what comes from now on."""
    return await _command(
        desk, caller, Command(session_id, _user(caller), owner=Owner.AI, seen_version=body.owner_version)
    )


@router.post("/sessions/{session_id}/assign", summary="Assign an agent")
async def assign(session_id: UUID, body: AssignBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The agent must be of the same account."""
    async with desk.db.account(caller.account_id) as conn:
        if not await session_commands.agent_exists(conn, body.agent_id):
            raise NotFoundError("No such agent")
    command = Command(session_id, _user(caller), agent_id=body.agent_id, seen_version=body.owner_version)
    return await _command(desk, caller, command)


@router.post("/sessions/{session_id}/close", summary="Close a session")
async def close(session_id: UUID, body: CommandBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The person's next message opens it again."""
    command = Command(
        session_id,
        _user(caller),
        status=SessionStatus.CLOSED,
        reason=body.reason or "closed by an operator",
        seen_version=body.owner_version,
    )
    return await _command(desk, caller, command)


@router.post("/sessions/{session_id}/block", summary="Block the person of a session")
async def block(session_id: UUID, body: CommandBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Nothing more is sent to them or answered; what they write is kept."""
    command = Command(
        session_id,
        _user(caller),
        status=SessionStatus.BLOCKED,
        reason=body.reason or "blocked by an operator",
        seen_version=body.owner_version,
    )
    return await _command(desk, caller, command)


@router.get("/troubled", summary="List parts that could not be delivered, or may not have been")
async def troubled(
    desk: Desk, caller: Annotated[Principal, allow(Permission.OPERATIONS_READ)], query: Page
) -> dict[str, Any]:
    """Every part that ended `dead` or `unknown`, with its reason: nothing is ever silently lost."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await session_views.troubled(conn, limit=query.per_page, offset=query.offset)
    return page(items, total, query)
