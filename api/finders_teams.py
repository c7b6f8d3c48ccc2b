"""How channels find missions, teams and what belongs to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.finding import Finder, by_id
from db import customers, missions, subscriptions, team_executions, teams
from domain.missions import MissionView
from domain.people import CustomerView, SubscriptionView
from domain.teams import TeamChannelView
from realtime.teamwork import TeamAtWork


async def _team(conn: AsyncConnection, team_id: UUID) -> TeamAtWork | None:
    team = await teams.find(conn, team_id)
    return None if team is None else TeamAtWork(team, await team_executions.unfinished(conn, team_id))


async def _subscription(conn: AsyncConnection, _key: str) -> SubscriptionView | None:
    return await subscriptions.find(conn)


async def _customer(conn: AsyncConnection, _key: str) -> CustomerView | None:
    return await customers.find(conn)


FINDERS: Final[Mapping[type, Finder]] = {
    CustomerView: _customer,
    MissionView: by_id(missions.find),
    SubscriptionView: _subscription,
    TeamAtWork: by_id(_team),
    TeamChannelView: by_id(teams.find_channel),
}
"""The entered account's own subscription, and itself as a customer, need no key."""
