"""Missions from the row to the socket: an old view and an event make the view that a fresh GET shows (VIEW)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncConnection

from api.services import Services
from db import mission_changes
from db.mission_changes import Deployment, GateDecision, MissionDraft, TaskChange
from db.outbox import Aggregate
from domain.errors import ConflictError, InvalidInputError, NotFoundError
from domain.missions import MissionDecision, MissionGate, MissionStatus, MissionType
from realtime.hub import Hub
from tests.api.cable import Live, entered, served
from tests.api.conftest import Login, Person
from tests.realtime.cable import Client, identifier

Change = Callable[[AsyncConnection], Awaitable[Aggregate | None]]


@pytest.fixture
async def live(app: FastAPI, hub: Hub) -> AsyncIterator[Live]:
    app.state.services.dispatcher.start()
    async with served(app) as running:
        yield running


async def carry(app: FastAPI, person: Person, change: Change) -> None:
    """Change something in a person's account, and let what the outbox holds of it leave."""
    services: Services = app.state.services
    async with services.db.account(person.tenant.account_id) as conn:
        aggregate = await change(conn)
    assert aggregate is not None
    await services.dispatcher.dispatch(aggregate)


async def heard(client: Client, kind: str) -> dict[str, Any]:
    """The next event, which must be of this kind."""
    event: Any = await client.message()
    assert (event.get("event") or event.get("type")) == kind, event
    return event


async def a_mission(app: FastAPI, person: Person, **more: Any) -> UUID:
    services: Services = app.state.services
    draft = MissionDraft("Mars", MissionType.DEVELOPMENT, person.tenant.user_id, objective="Land", **more)
    async with services.db.account(person.tenant.account_id) as conn:
        mission_id, aggregate = await mission_changes.create(conn, draft)
    await services.dispatcher.dispatch(aggregate)
    return mission_id


async def shown(person: Person, path: str, name: str) -> dict[str, Any]:
    answer = await person.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][name]


def story(mission_id: UUID, user_id: UUID) -> list[tuple[str, Change]]:
    """What can happen to a mission, and the event that tells it; each follows from the one before."""
    word = GateDecision(user_id, MissionGate.FEATURE_SELECTION, MissionDecision.APPROVED, "the first")
    task = TaskChange("t1", "build", "running", None, "agent", "executing")
    return [
        ("status_changed", lambda conn: mission_changes.set_status(conn, mission_id, MissionStatus.ACTIVE)),
        ("phase_changed", lambda conn: mission_changes.enter_phase(conn, mission_id, "analyzing")),
        ("phase_changed", lambda conn: mission_changes.enter_phase(conn, mission_id, "awaiting_feature_approval", {"n": 1})),
        ("approval_resolved", lambda conn: mission_changes.resolve(conn, mission_id, word)),
        ("task_status_changed", lambda conn: mission_changes.record_task(conn, mission_id, task)),
        ("pr_created", lambda conn: mission_changes.record_pull_request(conn, mission_id, 7, "https://git.example/7")),
        ("deployed", lambda conn: mission_changes.record_deployment(conn, mission_id, Deployment("http://x", 6001, "c1"))),
        ("error", lambda conn: mission_changes.fail(conn, mission_id, "No fuel")),
    ]  # fmt: skip


class TestMissions:
    async def test_each_event_is_what_a_fresh_get_shows(self, app: FastAPI, live: Live, login: Login) -> None:
        person = await login()
        mission_id = await a_mission(app, person)
        one = identifier("MissionChannel", type="mission", id=str(mission_id))
        all_of_them = identifier("MissionChannel", type="account", id=str(person.tenant.account_id))
        async with live.client(person) as client, live.client(person) as watcher:
            [state] = await entered(client, one)
            assert await entered(watcher, all_of_them) == []
            fresh: dict[str, Any] = {}
            version = cast("dict[str, Any]", state["payload"])["mission"]["version"]
            for kind, change in story(mission_id, person.tenant.user_id):
                await carry(app, person, change)
                events = [await heard(client, kind)]
                events += await tail(client, kind, events[0])
                assert [await watcher.message() for _ in events] == events
                fresh = await shown(person, f"/ai/missions/{mission_id}", "mission")
                for event in events:
                    view = event["payload"]["mission"]
                    assert view == {name: fresh[name] for name in view}, kind
                    assert view["version"] > version
                same_as(fresh, events[0]["payload"])
                version = fresh["version"]
                [listed] = (await person.get("/ai/missions")).json()["data"]["items"]
                assert listed == events[0]["payload"]["mission"]
        assert (fresh["status"], fresh["error_message"], fresh["duration_ms"] >= 0) == ("failed", "No fuel", True)

    async def test_a_new_one_reaches_the_account(self, app: FastAPI, live: Live, login: Login) -> None:
        person = await login()
        async with live.client(person) as client:
            await entered(client, identifier("MissionChannel", type="account", id=str(person.tenant.account_id)))
            mission_id = await a_mission(app, person)
            event = await heard(client, "status_changed")
        assert (event["payload"]["mission_id"], event["payload"]["status"]) == (str(mission_id), "draft")

    async def test_what_may_not_follow_is_refused_and_tells_nothing(self, app: FastAPI, login: Login) -> None:
        person = await login()
        mission_id = await a_mission(app, person)
        services: Services = app.state.services
        word = GateDecision(person.tenant.user_id, MissionGate.PRD_REVIEW, MissionDecision.APPROVED)
        refused: list[tuple[type[Exception], Change]] = [
            (ConflictError, lambda conn: mission_changes.set_status(conn, mission_id, MissionStatus.COMPLETED)),
            (ConflictError, lambda conn: mission_changes.enter_phase(conn, mission_id, "planning")),
            (ConflictError, lambda conn: mission_changes.resolve(conn, mission_id, word)),
            (NotFoundError, lambda conn: mission_changes.fail(conn, uuid4(), "x")),
        ]
        before = await shown(person, f"/ai/missions/{mission_id}", "mission")
        for error, change in refused:
            with pytest.raises(error):
                async with services.db.account(person.tenant.account_id) as conn:
                    await change(conn)
        await carry(app, person, lambda conn: mission_changes.set_status(conn, mission_id, MissionStatus.ACTIVE))
        with pytest.raises(InvalidInputError):
            async with services.db.account(person.tenant.account_id) as conn:
                await mission_changes.enter_phase(conn, mission_id, "dancing")
        after = await shown(person, f"/ai/missions/{mission_id}", "mission")
        assert after["version"] == before["version"] + 1

    async def test_phases_keep_their_times_and_results(self, app: FastAPI, login: Login) -> None:
        person = await login()
        mission_id = await a_mission(app, person)
        for _, change in story(mission_id, person.tenant.user_id)[:3]:
            await carry(app, person, change)
        fresh = await shown(person, f"/ai/missions/{mission_id}", "mission")
        first, second = fresh["phase_history"]
        assert (first["phase"], first["result"], "exited_at" in first) == ("analyzing", {"n": 1}, True)
        assert (second["phase"], "exited_at" in second) == ("awaiting_feature_approval", False)
        assert fresh["phase_progress"] == 9


async def tail(client: Client, kind: str, first: dict[str, Any]) -> list[dict[str, Any]]:
    """What comes with an event: the question at a gate, the status that an error leads to."""
    if (
        kind == "phase_changed"
        and first["payload"]["current_phase"] in first["payload"]["mission"]["approval_gate_phases"]
    ):
        asked = await heard(client, "approval_required")
        assert (asked["payload"]["gate"], asked["payload"]["phase"]) == (
            "feature_selection", "awaiting_feature_approval",
        )  # fmt: skip
        return [asked]
    return [await heard(client, "status_changed")] if kind == "error" else []


def same_as(fresh: dict[str, Any], payload: dict[str, Any]) -> None:
    """What an event says beside the view stands in the mission's details under these names."""
    spelled = {"url": "deployed_url", "port": "deployed_port", "container_id": "deployed_container_id",
               "error": "error_message"}  # fmt: skip
    for name, value in payload.items():
        kept = spelled.get(name, name)
        if kept in fresh and "task_id" not in payload:
            assert fresh[kept] == value, name
    if "approval" in payload:
        assert fresh["approvals"] == [payload["approval"]]
        assert payload["approval"]["user"] == "Olga"
