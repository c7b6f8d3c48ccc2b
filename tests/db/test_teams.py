"""Teams and missions in the database: numbers without gaps, commands that meet, statuses that are those of the words."""

from __future__ import annotations

import asyncio
import re
from enum import StrEnum

import pytest
from sqlalchemy import text

from db import mission_changes, team_executions, team_messages, teams
from db.mission_changes import Deployment, MissionDraft
from db.session import Database
from db.team_messages import TeamMessageDraft
from db.teams import TeamDraft
from domain.errors import ConflictError
from domain.missions import MissionDecision, MissionGate, MissionStatus, MissionType
from domain.people import AccountStatus, PlanInterval, Severity, SubscriptionStatus
from domain.teams import (
    ControlSignal,
    Coordination,
    ExecutionStatus,
    ParallelMode,
    Priority,
    TeamChannelType,
    TeamCommand,
    TeamMessageType,
    TeamRole,
    TeamStatus,
    TeamType,
)
from tests.conftest import DatabaseUrls
from tests.tenants import make_tenant

STATUSES: list[tuple[str, str, type[StrEnum]]] = [
    ("accounts", "status", AccountStatus),
    ("ai_missions", "mission_type", MissionType),
    ("ai_missions", "status", MissionStatus),
    ("ai_mission_approvals", "gate", MissionGate),
    ("ai_mission_approvals", "decision", MissionDecision),
    ("agent_teams", "team_type", TeamType),
    ("agent_teams", "coordination_strategy", Coordination),
    ("agent_teams", "status", TeamStatus),
    ("agent_teams", "parallel_mode", ParallelMode),
    ("agent_team_members", "role", TeamRole),
    ("team_channels", "channel_type", TeamChannelType),
    ("team_messages", "message_type", TeamMessageType),
    ("team_messages", "priority", Priority),
    ("team_executions", "status", ExecutionStatus),
    ("team_executions", "control_signal", ControlSignal),
    ("notifications", "severity", Severity),
    ("plans", "interval", PlanInterval),
    ("account_subscriptions", "status", SubscriptionStatus),
]


class TestStatuses:
    @pytest.mark.parametrize(("table", "column", "words"), STATUSES)
    async def test_the_database_takes_the_same_words(
        self, database: Database, table: str, column: str, words: type[StrEnum]
    ) -> None:
        async with database.open() as conn:
            found = await conn.execute(
                text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"),
                {"name": f"ck_{table}_{column}"},
            )
            definition = found.scalar_one()
        assert sorted(re.findall(r"'([^']*)'::text", definition)) == sorted(word.value for word in words)


class TestMessages:
    async def test_numbers_have_no_gaps_whoever_writes_at_once(
        self, database: Database, database_urls: DatabaseUrls
    ) -> None:
        tenant = await make_tenant(database_urls.owner)
        async with database.account(tenant.account_id) as conn:
            team_id = await teams.create(conn, TeamDraft("Painters"))
            channel_id = await teams.open_channel(conn, team_id, "general")

        async def post(number: int) -> int:
            async with database.account(tenant.account_id) as conn:
                view, _ = await team_messages.post(conn, channel_id, TeamMessageDraft(f"m{number}"))
            return view.sequence_number

        async def lose() -> None:
            async with database.account(tenant.account_id) as conn:
                await team_messages.post(conn, channel_id, TeamMessageDraft("lost"))
                raise ZeroDivisionError

        lost = asyncio.gather(*(lose() for _ in range(5)), return_exceptions=True)
        numbers = await asyncio.gather(*(post(number) for number in range(20)))
        assert [type(error) for error in await lost] == [ZeroDivisionError] * 5
        assert sorted(numbers) == list(range(1, 21))


class TestCommands:
    async def test_of_many_cancellations_at_once_one_is_kept(
        self, database: Database, database_urls: DatabaseUrls
    ) -> None:
        tenant = await make_tenant(database_urls.owner)
        async with database.account(tenant.account_id) as conn:
            team_id = await teams.create(conn, TeamDraft("Painters"))
            row_id, _ = await team_executions.start(conn, team_id, "Paint it", 1)
            public_id = (await team_executions.get(conn, team_id, row_id)).execution_id

        async def cancel() -> bool:
            try:
                async with database.account(tenant.account_id) as conn:
                    await team_executions.command(conn, team_id, public_id, TeamCommand.CANCEL)
            except ConflictError:
                return False
            return True

        assert sum(await asyncio.gather(*(cancel() for _ in range(8)))) == 1
        async with database.account(tenant.account_id) as conn:
            view = await team_executions.get(conn, team_id, row_id)
        assert (view.control_signal, view.version) == ("cancel", 2)


class TestMissions:
    async def test_of_two_that_end_one_at_once_one_wins(self, database: Database, database_urls: DatabaseUrls) -> None:
        tenant = await make_tenant(database_urls.owner)
        async with database.account(tenant.account_id) as conn:
            mission_id, _ = await mission_changes.create(
                conn, MissionDraft("Mars", MissionType.RESEARCH, tenant.user_id)
            )
            await mission_changes.set_status(conn, mission_id, MissionStatus.ACTIVE)

        async def end(status: MissionStatus) -> bool:
            try:
                async with database.account(tenant.account_id) as conn:
                    await mission_changes.set_status(conn, mission_id, status)
            except ConflictError:
                return False
            return True

        ends = (MissionStatus.COMPLETED, MissionStatus.CANCELLED) * 4
        assert sum(await asyncio.gather(*(end(status) for status in ends))) == 1

    async def test_a_port_is_one_active_missions(self, database: Database, database_urls: DatabaseUrls) -> None:
        first, second = await make_tenant(database_urls.owner), await make_tenant(database_urls.owner)
        for tenant in (first, second):
            async with database.account(tenant.account_id) as conn:
                draft = MissionDraft("Mars", MissionType.RESEARCH, tenant.user_id)
                mission_id, _ = await mission_changes.create(conn, draft)
                where = Deployment(None, 6007, None)
                if tenant is first:
                    await mission_changes.set_status(conn, mission_id, MissionStatus.ACTIVE)
                    await mission_changes.record_deployment(conn, mission_id, where)
                    continue
                await mission_changes.record_deployment(conn, mission_id, where)
                with pytest.raises(ConflictError):
                    await mission_changes.set_status(conn, mission_id, MissionStatus.ACTIVE)
                with pytest.raises(ConflictError):
                    await mission_changes.record_deployment(conn, mission_id, Deployment(None, 80, None))
