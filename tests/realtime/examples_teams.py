"""One thing for each channel of missions, teams and people, made in a real account; and the params that lead to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID, uuid4

from db import mission_changes, team_executions, teams
from db.mission_changes import MissionDraft
from db.session import Database
from db.teams import TeamDraft
from domain.missions import MissionType

Params = dict[str, object]
Example = Callable[[Database, UUID, UUID], Awaitable[Params]]
"""(the app's database, account, a person of it) -> params."""


def examples() -> Mapping[str, Example]:
    """Return how to make an example for each channel, by the channel's wire name."""
    return {
        "AnalyticsChannel": _own_account,
        "CustomerChannel": _own_account,
        "MissionChannel": _mission,
        "NotificationChannel": _own_account,
        "SubscriptionChannel": _own_account,
        "TeamChannelChannel": _team_channel,
        "TeamExecutionChannel": _team,
    }


async def _own_account(_db: Database, account_id: UUID, _user_id: UUID) -> Params:
    return {"account_id": str(account_id)}


async def _mission(db: Database, account_id: UUID, user_id: UUID) -> Params:
    async with db.account(account_id) as conn:
        mission_id, _ = await mission_changes.create(conn, MissionDraft("Mars", MissionType.DEVELOPMENT, user_id))
    return {"type": "mission", "id": str(mission_id)}


async def make_team(db: Database, account_id: UUID) -> UUID:
    """Make a team."""
    async with db.account(account_id) as conn:
        return await teams.create(conn, TeamDraft(f"Team {uuid4().hex[:8]}"))


async def _team(db: Database, account_id: UUID, _user_id: UUID) -> Params:
    team_id = await make_team(db, account_id)
    async with db.account(account_id) as conn:
        await team_executions.start(conn, team_id, "Paint it", 3)
    return {"team_id": str(team_id)}


async def _team_channel(db: Database, account_id: UUID, _user_id: UUID) -> Params:
    team_id = await make_team(db, account_id)
    async with db.account(account_id) as conn:
        return {"channel_id": str(await teams.open_channel(conn, team_id, "general"))}
