"""Teams of agents: list, show, their executions, and what is said in their channels."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from db import team_executions, team_messages, teams
from domain.errors import NotFoundError
from domain.permissions import Permission
from domain.teams import (
    ExecutionStatus,
    TeamDetailsView,
    TeamExecutionView,
    TeamMessageView,
    TeamStatus,
    TeamView,
)

router = APIRouter(prefix="/api/v1/ai/teams", tags=["teams"])

Reader = Annotated[Principal, allow(Permission.TEAMS_READ)]
Page = Annotated[PageQuery, Depends()]


@router.get("", summary="List teams", responses=listed("Teams", TeamView))
async def listing(desk: Desk, caller: Reader, query: Page, status: TeamStatus | None = None) -> dict[str, Any]:
    """By name."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await teams.listing(conn, status=status, limit=query.per_page, offset=query.offset)
    return page(items, total, query)


@router.get("/{team_id}", summary="Show a team", responses=shows("Team", team=TeamDetailsView))
async def show(team_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """With its members and channels."""
    async with desk.db.account(caller.account_id) as conn:
        return done(team=await teams.get(conn, team_id))


@router.get(
    "/{team_id}/executions", summary="List a team's executions", responses=listed("TeamExecutions", TeamExecutionView)
)
async def executions(
    team_id: UUID, desk: Desk, caller: Reader, query: Page, status: ExecutionStatus | None = None
) -> dict[str, Any]:
    """The newest first."""
    async with desk.db.account(caller.account_id) as conn:
        team = await teams.known(conn, team_id)
        items, total = await team_executions.listing(
            conn, team.id, status=status, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get(
    "/{team_id}/executions/{team_execution_id}",
    summary="Show an execution",
    responses=shows("TeamExecution", execution=TeamExecutionView),
)
async def execution(team_id: UUID, team_execution_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """How far it is, and what people asked of it."""
    async with desk.db.account(caller.account_id) as conn:
        return done(execution=await team_executions.get(conn, team_id, team_execution_id))


@router.get(
    "/{team_id}/channels/{team_channel_id}/messages",
    summary="List a channel's messages",
    responses=listed("TeamMessages", TeamMessageView),
)
async def messages(team_id: UUID, team_channel_id: UUID, desk: Desk, caller: Reader, query: Page) -> dict[str, Any]:
    """The latest first; their numbers have no gaps."""
    async with desk.db.account(caller.account_id) as conn:
        channel = await teams.find_channel(conn, team_channel_id)
        if channel is None or channel.team_id != team_id:
            raise NotFoundError("No such channel")
        items, total = await team_messages.listing(conn, channel.id, limit=query.per_page, offset=query.offset)
    return page(items, total, query)
