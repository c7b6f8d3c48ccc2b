"""Teams of agents as readers see them: teams, their members and channels. Executions: team_executions.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.paging import fetch_page
from db.rows import mapping
from db.tables import agent_team_members, agent_teams, team_channels
from db.telling import acting_account
from domain.errors import NotFoundError
from domain.teams import (
    Coordination,
    TeamChannelType,
    TeamChannelView,
    TeamDetailsView,
    TeamMemberView,
    TeamRole,
    TeamType,
    TeamView,
)

_COLUMNS: Final = """
    t.id, t.name, t.description, t.team_type, t.coordination_strategy, t.status, t.parallel_mode, t.max_parallel_tasks,
    t.task_timeout_seconds, (SELECT count(*) FROM agent_team_members m WHERE m.team_id = t.id) AS member_count,
    t.created_at, t.version
"""
_CHANNEL_COLUMNS: Final = """
    c.id, c.team_id, c.name, c.channel_type, c.is_persistent, c.message_retention_hours, c.participant_roles,
    c.last_sequence AS message_count, c.created_at, c.version
"""
_LIST: Final = text(
    f"""
    SELECT {_COLUMNS}, count(*) OVER () AS total FROM agent_teams t
    WHERE (CAST(:status AS text) IS NULL OR t.status = :status) ORDER BY t.name, t.id LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
)
_FIND: Final = text(f"SELECT {_COLUMNS} FROM agent_teams t WHERE t.id = :id")  # noqa: S608 - constant columns
_MEMBERS: Final = text(
    """
    SELECT m.id, m.agent_id, a.name AS agent_name, m.role, m.is_lead, m.priority_order
    FROM agent_team_members m JOIN ai_agents a ON a.id = m.agent_id
    WHERE m.team_id = :id ORDER BY m.priority_order, m.created_at, m.id
    """
)
_CHANNELS: Final = text(
    f"SELECT {_CHANNEL_COLUMNS} FROM team_channels c WHERE c.team_id = :id ORDER BY c.name"  # noqa: S608
)
_FIND_CHANNEL: Final = text(
    f"SELECT {_CHANNEL_COLUMNS} FROM team_channels c WHERE c.id = :id"  # noqa: S608 - constant columns
)


@dataclass(frozen=True, slots=True)
class TeamDraft:
    """What a team begins with."""

    name: str
    description: str | None = None
    team_type: TeamType = TeamType.HIERARCHICAL
    coordination: Coordination = Coordination.MANAGER_LED


def _fields(row: Row[Any], names: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in mapping(row).items() if name in names}


async def create(conn: AsyncConnection, draft: TeamDraft) -> UUID:
    """Store a team without members; return its id."""
    team_id = uuid4()
    values = {
        "id": team_id, "account_id": await acting_account(conn), "name": draft.name, "description": draft.description,
        "team_type": draft.team_type.value, "coordination_strategy": draft.coordination.value,
    }  # fmt: skip
    await conn.execute(insert(agent_teams).values(values))
    return team_id


async def add_member(
    conn: AsyncConnection, team_id: UUID, agent_id: UUID, role: TeamRole, *, is_lead: bool = False
) -> UUID:
    """Put an agent into a team, once; a team has one lead at most. Returns the member's id."""
    member_id = uuid4()
    values = {
        "id": member_id, "account_id": await acting_account(conn), "team_id": team_id, "agent_id": agent_id,
        "role": role.value, "is_lead": is_lead,
    }  # fmt: skip
    await conn.execute(insert(agent_team_members).values(values))
    await conn.execute(text("UPDATE agent_teams SET version = version + 1 WHERE id = :id"), {"id": team_id})
    return member_id


async def open_channel(
    conn: AsyncConnection, team_id: UUID, name: str, kind: TeamChannelType = TeamChannelType.BROADCAST
) -> UUID:
    """Give a team a channel; return its id."""
    channel_id = uuid4()
    values = {
        "id": channel_id, "account_id": await acting_account(conn), "team_id": team_id, "name": name,
        "channel_type": kind.value,
    }  # fmt: skip
    await conn.execute(insert(team_channels).values(values))
    await conn.execute(text("UPDATE agent_teams SET version = version + 1 WHERE id = :id"), {"id": team_id})
    return channel_id


async def find(conn: AsyncConnection, team_id: UUID) -> TeamView | None:
    """Return a team; None when the entered account has no such one."""
    row = (await conn.execute(_FIND, {"id": team_id})).one_or_none()
    return None if row is None else TeamView.model_validate(dict(mapping(row)))


async def find_channel(conn: AsyncConnection, channel_id: UUID) -> TeamChannelView | None:
    """Return a team's channel; None when the entered account has no such one."""
    row = (await conn.execute(_FIND_CHANNEL, {"id": channel_id})).one_or_none()
    return None if row is None else TeamChannelView.model_validate(dict(mapping(row)))


async def known(conn: AsyncConnection, team_id: UUID) -> TeamView:
    """Return a team. Raises NotFoundError."""
    team = await find(conn, team_id)
    if team is None:
        raise NotFoundError("No such team")
    return team


async def get(conn: AsyncConnection, team_id: UUID) -> TeamDetailsView:
    """Return a team in full. Raises NotFoundError."""
    team = await known(conn, team_id)
    members = [
        TeamMemberView.model_validate(dict(mapping(row))) for row in await conn.execute(_MEMBERS, {"id": team_id})
    ]
    return TeamDetailsView(**team.model_dump(), members=members, channels=await channels(conn, team_id))


async def channels(conn: AsyncConnection, team_id: UUID) -> list[TeamChannelView]:
    """Return a team's channels, by name."""
    found = await conn.execute(_CHANNELS, {"id": team_id})
    return [TeamChannelView.model_validate(dict(mapping(row))) for row in found]


async def listing(conn: AsyncConnection, *, status: str | None, limit: int, offset: int) -> tuple[list[TeamView], int]:
    """Return a page, by name, and how many there are."""
    rows, total = await fetch_page(conn, _LIST, {"status": status}, limit=limit, offset=offset)
    return [TeamView.model_validate(_fields(row, TeamView.model_fields)) for row in rows], total
