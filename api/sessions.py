"""Chat sessions: find them, take them over and hand them back, assign, close and block. Messages: messages.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from api.services import Services
from db import blacklists, session_commands, session_views
from db.session_commands import Changed, Command
from domain.errors import NotFoundError, PermissionDeniedError
from domain.permissions import Permission
from domain.session import Owner, SessionStatus
from domain.views import SessionDetailsView, SessionView, View

router = APIRouter(prefix="/api/v1/chat", tags=["sessions"])

Reader = Annotated[Principal, allow(Permission.SESSIONS_READ)]
Manager = Annotated[Principal, allow(Permission.SESSIONS_MANAGE)]
Page = Annotated[PageQuery, Depends()]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CommandBody(_Body):
    """`owner_version` as last seen makes the command fail with 409 when somebody was faster."""

    reason: str | None = Field(None, max_length=500)
    owner_version: int | None = None


class CloseBody(CommandBody):
    """`last_arrival_no` as last seen makes it fail with 409 when the person has written since."""

    last_arrival_no: int | None = None


class ClaimedView(View):
    """A part that was being sent already when the command came, and cannot be called back."""

    message_id: UUID
    part: int


CHANGED = shows("SessionChanged", session=SessionView, already_sending=list[ClaimedView])


class AssignBody(CommandBody):
    """Which agent answers from now on."""

    agent_id: UUID


@router.get("/sessions", summary="List sessions", responses=listed("Sessions", SessionView))
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


@router.get("/sessions/{session_id}", summary="Show a session", responses=shows("Session", session=SessionDetailsView))
async def show(session_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """In full, with its owner, the public id of its AI conversation, and until when the platform lets one write freely."""
    async with desk.db.account(caller.account_id) as conn:
        view = await session_views.get(conn, session_id)
    window_s = desk.platforms.get(view.platform).capabilities.reply_window_s
    if window_s and view.last_inbound_at is not None:
        until = view.last_inbound_at + timedelta(seconds=window_s)
        view = view.model_copy(update={"reply_window_until": until})
    return done(session=view)


def _changed(desk: Services, changed: Changed) -> dict[str, Any]:
    desk.dispatcher.notify(changed.aggregate)
    claimed = [ClaimedView(message_id=message_id, part=part) for message_id, part in changed.claimed]
    return done(session=changed.session, already_sending=claimed)


async def _command(desk: Services, caller: Principal, command: Command) -> dict[str, Any]:
    async with desk.db.account(caller.account_id) as conn:
        changed = await session_commands.apply(conn, command)
    return _changed(desk, changed)


def caller_id(caller: Principal) -> UUID:
    """Return the person's id, for what only people decide. Raises PermissionDeniedError for a service."""
    if caller.user_id is None:
        raise PermissionDeniedError("Only a person can do this, not a service token")
    return caller.user_id


@router.post("/sessions/{session_id}/take_over", summary="Take a session over", responses=CHANGED)
async def take_over(session_id: UUID, body: CommandBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """From now on no part of an AI message is sent; `data.already_sending` lists what could not be called back."""
    command = Command(session_id, caller_id(caller), owner=Owner.HUMAN, seen_version=body.owner_version)
    return await _command(desk, caller, command)


@router.post("/sessions/{session_id}/hand_back", summary="Hand a session back to the agent", responses=CHANGED)
async def hand_back(session_id: UUID, body: CommandBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The agent answers what comes from now on."""
    return await _command(
        desk, caller, Command(session_id, caller_id(caller), owner=Owner.AI, seen_version=body.owner_version)
    )


@router.post("/sessions/{session_id}/assign", summary="Assign an agent", responses=CHANGED)
async def assign(session_id: UUID, body: AssignBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The agent must be of the same account, and active."""
    command = Command(session_id, caller_id(caller), agent_id=body.agent_id, seen_version=body.owner_version)
    async with desk.db.account(caller.account_id) as conn:
        if not await session_commands.agent_exists(conn, body.agent_id):
            raise NotFoundError("No such agent")
        changed = await session_commands.apply(conn, command)
    return _changed(desk, changed)


@router.post("/sessions/{session_id}/close", summary="Close a session", responses=CHANGED)
async def close(session_id: UUID, body: CloseBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The person's next message opens it again."""
    command = Command(
        session_id,
        caller_id(caller),
        status=SessionStatus.CLOSED,
        reason=body.reason or "closed by an operator",
        seen_version=body.owner_version,
        seen_arrival_no=body.last_arrival_no,
    )
    return await _command(desk, caller, command)


@router.post("/sessions/{session_id}/block", summary="Block the person of a session", responses=CHANGED)
async def block(session_id: UUID, body: CommandBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Nothing more is sent to them or answered on this channel; what they write is kept. Lifted by deleting the entry
    in `/chat/blacklists`.
    """
    user_id, reason = caller_id(caller), body.reason or "blocked by an operator"
    command = Command(session_id, user_id, status=SessionStatus.BLOCKED, reason=reason, seen_version=body.owner_version)
    async with desk.db.account(caller.account_id) as conn:
        changed = await session_commands.apply(conn, command)
        others = await blacklists.add_person_of(conn, session_id, user_id, reason)
    for aggregate in others:
        desk.dispatcher.notify(aggregate)
    return _changed(desk, changed)
