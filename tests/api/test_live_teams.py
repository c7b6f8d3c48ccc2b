"""Teams from the row to the socket: events are what a fresh GET shows (VIEW), and what people ask is kept and obeyed."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI

from api.services import Services
from db import team_executions, team_messages, teams
from db.team_executions import Ending, Progress
from db.team_messages import TeamMessageDraft
from domain.errors import ConflictError
from domain.permissions import Role
from domain.teams import ControlSignal, ExecutionStatus, MemberStepView, TeamRole
from tests.api.cable import Live, entered
from tests.api.conftest import Login, Person
from tests.api.test_live_missions import Change, carry, heard, live, shown
from tests.realtime.cable import Client, identifier
from tests.realtime.examples_teams import make_team

__all__ = ["live"]
STEP = MemberStepView(
    member_index=0, member_name="Ada", member_role="writer", member_success=True, member_duration_ms=5
)


async def an_execution(app: FastAPI, person: Person, team_id: UUID) -> tuple[UUID, str]:
    """Let a team begin to work; returns the execution's id and its public id."""
    services: Services = app.state.services
    async with services.db.account(person.tenant.account_id) as conn:
        row_id, aggregate = await team_executions.start(conn, team_id, "Paint it", 3)
    await services.dispatcher.dispatch(aggregate)
    fresh = await shown(person, f"/ai/teams/{team_id}/executions/{row_id}", "execution")
    return row_id, fresh["execution_id"]


def story(row_id: UUID) -> list[tuple[str, Change]]:
    """What can happen to an execution, and the event that tells it."""
    return [
        ("execution_progress", lambda conn: team_executions.advance(conn, row_id, Progress(tasks_completed=1, tokens_used=9))),
        ("member_completed", lambda conn: team_executions.member_done(conn, row_id, STEP)),
        ("plan_awaiting_approval", lambda conn: team_executions.await_approval(conn, row_id, None, None)),
        ("execution_completed", lambda conn: team_executions.end(conn, row_id, Ending(ExecutionStatus.COMPLETED, {"ok": 1}))),
    ]  # fmt: skip


class TestExecutions:
    async def test_each_event_is_what_a_fresh_get_shows(self, app: FastAPI, live: Live, login: Login) -> None:
        person = await login()
        team_id = await make_team(app.state.services.db, person.tenant.account_id)
        async with live.client(person) as client:
            [greeting] = await entered(client, identifier("TeamExecutionChannel", team_id=str(team_id)))
            assert (greeting["type"], greeting["channel"]) == ("subscription.confirmed", "team_execution")
            row_id, public_id = await an_execution(app, person, team_id)
            await self.fits(person, team_id, row_id, await heard(client, "execution_started"))
            event: dict[str, Any] = {}
            for kind, change in story(row_id):
                await carry(app, person, change)
                event = await heard(client, kind)
                assert event["execution_id"] == event["job_id"] == public_id
                await self.fits(person, team_id, row_id, event)
            assert (event["result"], event["progress"]) == ({"ok": 1}, 100)

    @pytest.mark.parametrize(
        ("status", "kind"),
        [("failed", "execution_failed"), ("timeout", "execution_timeout"), ("cancelled", "execution_cancelled")],
    )
    async def test_other_ends(self, app: FastAPI, live: Live, login: Login, status: str, kind: str) -> None:
        person = await login()
        team_id = await make_team(app.state.services.db, person.tenant.account_id)
        row_id, _ = await an_execution(app, person, team_id)
        ending = Ending(ExecutionStatus(status), error="Out of paint")
        async with live.client(person) as client:
            _, state = await entered(client, identifier("TeamExecutionChannel", team_id=str(team_id)))
            assert (state["type"], state["is_initial_status"]) == ("execution_progress", True)
            await carry(app, person, lambda conn: team_executions.end(conn, row_id, ending))
            event = await heard(client, kind)
            await self.fits(person, team_id, row_id, event)
            assert event["execution"]["error"] == "Out of paint"
        async with live.client(person) as client:
            # What is over is not under way.
            assert len(await entered(client, identifier("TeamExecutionChannel", team_id=str(team_id)))) == 1
        with pytest.raises(ConflictError):
            await carry(app, person, lambda conn: team_executions.member_done(conn, row_id, STEP))

    @staticmethod
    async def fits(person: Person, team_id: UUID, row_id: UUID, event: dict[str, Any]) -> None:
        fresh = await shown(person, f"/ai/teams/{team_id}/executions/{row_id}", "execution")
        [listed] = (await person.get(f"/ai/teams/{team_id}/executions")).json()["data"]["items"]
        assert event["execution"] == fresh == listed
        shared = set(fresh) & set(event) - {"error"}
        assert {name: event[name] for name in shared} == {name: fresh[name] for name in shared}


class TestCommands:
    async def test_are_kept_acknowledged_and_obeyed(self, app: FastAPI, live: Live, login: Login) -> None:
        person = await login(Role.OPERATOR)
        team_id = await make_team(app.state.services.db, person.tenant.account_id)
        row_id, public_id = await an_execution(app, person, team_id)
        name = identifier("TeamExecutionChannel", team_id=str(team_id))
        async with live.client(person) as client:
            await entered(client, name)
            await client.perform(name, "pause", execution_id=public_id)
            await self.kept(client, "pause", "pause")
            assert await self.obeyed(app, person, row_id) is ControlSignal.PAUSE
            assert (await heard(client, "execution_paused"))["status"] == "paused"
            await client.perform(name, "command", command="resume", execution_id=public_id)
            await self.kept(client, "resume", None)
            assert await self.obeyed(app, person, row_id) is None
            assert (await heard(client, "execution_resumed"))["status"] == "running"
            await client.perform(name, "redirect", execution_id=public_id, instructions="In blue")
            assert (await self.kept(client, "redirect", "redirect"))["redirect_instructions"] == "In blue"
            assert await self.obeyed(app, person, row_id) is ControlSignal.REDIRECT
            assert (await heard(client, "execution_redirected"))["instructions"] == "In blue"
            await client.perform(name, "cancel", execution_id=public_id)
            await self.kept(client, "cancel", "cancel")
            assert await self.obeyed(app, person, row_id) is ControlSignal.CANCEL
            assert (await heard(client, "execution_cancelled"))["execution"]["control_signal"] is None

    @staticmethod
    async def kept(client: Client, command: str, signal: str | None) -> dict[str, Any]:
        """The answer and the event come in any order."""
        frames: list[Any] = [await client.message(), await client.message()]
        [answer] = [frame for frame in frames if frame["type"] == "command_acknowledged"]
        [event] = [frame for frame in frames if frame["type"] == "execution_progress"]
        assert answer["command"] == command
        assert event["execution"]["control_signal"] == signal
        return event["execution"]

    @staticmethod
    async def obeyed(app: FastAPI, person: Person, row_id: UUID) -> ControlSignal | None:
        services: Services = app.state.services
        async with services.db.account(person.tenant.account_id) as conn:
            signal, aggregate = await team_executions.obey(conn, row_id)
        assert aggregate is not None
        await services.dispatcher.dispatch(aggregate)
        return signal

    async def test_are_refused_in_words(self, app: FastAPI, live: Live, login: Login) -> None:
        person, stranger = await login(), await login()
        team_id = await make_team(app.state.services.db, person.tenant.account_id)
        theirs = await make_team(app.state.services.db, stranger.tenant.account_id)
        row_id, public_id = await an_execution(app, person, team_id)
        _, foreign = await an_execution(app, stranger, theirs)
        name = identifier("TeamExecutionChannel", team_id=str(team_id))
        async with live.client(person) as client:
            await entered(client, name)
            refused = [
                ({"command": "resume", "execution_id": public_id}, "The execution does not stand still"),
                ({"command": "redirect", "execution_id": public_id}, "A redirection needs instructions"),
                ({"command": "cancel", "execution_id": foreign}, "No such execution"),
                ({"command": "cancel", "execution_id": "exec_guessed"}, "No such execution"),
            ]
            for data, error in refused:
                await client.perform(name, "command", **data)
                answer: Any = await client.message()
                assert (answer["type"], answer["error"]) == ("command_error", error)
        [fresh] = (await stranger.get(f"/ai/teams/{theirs}/executions")).json()["data"]["items"]
        assert fresh["control_signal"] is None
        assert (await shown(person, f"/ai/teams/{team_id}/executions/{row_id}", "execution"))["version"] == 1

    async def test_need_more_than_reading(self, app: FastAPI, live: Live, login: Login) -> None:
        viewer = await login(Role.VIEWER)
        team_id = await make_team(app.state.services.db, viewer.tenant.account_id)
        row_id, public_id = await an_execution(app, viewer, team_id)
        name = identifier("TeamExecutionChannel", team_id=str(team_id))
        async with live.client(viewer) as client:
            await entered(client, name)
            await client.perform(name, "cancel", execution_id=public_id)
            answer: Any = await client.message()
        assert (answer["type"], "ai.teams.execute" in answer["message"]) == ("error", True)
        assert (await shown(viewer, f"/ai/teams/{team_id}/executions/{row_id}", "execution"))["control_signal"] is None


class TestMessages:
    async def test_each_is_told_numbered_and_listed(self, app: FastAPI, live: Live, login: Login) -> None:
        person = await login()
        tenant, services = person.tenant, app.state.services
        team_id = await make_team(services.db, tenant.account_id)
        async with services.db.account(tenant.account_id) as conn:
            member = await teams.add_member(conn, team_id, tenant.agent_id, TeamRole.WRITER, is_lead=True)
            channel_id = await teams.open_channel(conn, team_id, "general")
        async with live.client(person) as client:
            [greeting] = await entered(client, identifier("TeamChannelChannel", channel_id=str(channel_id)))
            assert (greeting["channel"], greeting["channel_id"]) == ("team_channel", str(channel_id))
            fresh: list[dict[str, Any]] = []
            drafts = [
                TeamMessageDraft("Blue?", from_role_id=member, requires_response=True),
                TeamMessageDraft("Blue.", user_id=tenant.user_id),
            ]
            for number, draft in enumerate(drafts, start=1):

                async def post(conn: Any, draft: TeamMessageDraft = draft) -> Any:
                    return (await team_messages.post(conn, channel_id, draft))[1]

                await carry(app, person, post)
                event = await heard(client, "message_created")
                path = f"/ai/teams/{team_id}/channels/{channel_id}/messages"
                fresh = (await person.get(path)).json()["data"]["items"]
                assert (event["message"], event["channel_id"]) == (fresh[0], str(channel_id))
                assert fresh[0]["sequence_number"] == number
        assert fresh[1]["from_role"] == {"id": str(member), "role_name": "writer", "agent_name": "Ada"}
        assert fresh[0]["user"] == {"id": str(tenant.user_id), "name": "Olga", "email": tenant.email}
        team = await shown(person, f"/ai/teams/{team_id}", "team")
        assert (team["member_count"], team["channels"][0]["message_count"]) == (1, 2)
        assert team["members"][0]["is_lead"] is True

    async def test_a_channel_is_found_by_its_own_team_alone(self, app: FastAPI, login: Login) -> None:
        person = await login()
        db = app.state.services.db
        team_id, other_id = [await make_team(db, person.tenant.account_id) for _ in range(2)]
        async with db.account(person.tenant.account_id) as conn:
            channel_id = await teams.open_channel(conn, team_id, "general")
        assert (await person.get(f"/ai/teams/{team_id}/channels/{channel_id}/messages")).status_code == 200
        assert (await person.get(f"/ai/teams/{other_id}/channels/{channel_id}/messages")).status_code == 404
        assert (await person.get(f"/ai/teams/{uuid4()}/executions")).status_code == 404
