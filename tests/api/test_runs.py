"""What is watched live, from the function that changes it to the socket and back: old view + event = fresh look."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI

from api.services import Services
from db import dashboards, executions, workflow_runs
from db.executions import ExecutionChange, NewExecution
from db.outbox import Aggregate
from db.session import Database
from db.workflow_runs import NewRun, RunChange
from domain.errors import ConflictError, InvalidInputError, NotFoundError
from domain.loop_views import AlertView
from domain.permissions import Role
from domain.runs import ExecutionStatus, RunStatus
from realtime.hub import Hub
from tests.api.conftest import Login, Person
from tests.api.desk_socket import DeskSocket, Json, desk_socket
from tests.api.stories import STORIES, Story
from tests.realtime import examples_runs as made
from tests.realtime.cable import identifier

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
TOLD = "SELECT data -> 'stats' FROM outbox WHERE name = 'DashboardStats' ORDER BY aggregate_version"


async def waits(db: Database) -> bool:
    """Whether somebody waits for a lock; asked in a transaction of its own, because one sees the same all the time."""
    async with db.open() as conn:
        return bool((await conn.exec_driver_sql(WAITING)).scalar_one())


def desk_of(app: FastAPI) -> Services:
    return app.state.services


async def heard(app: FastAPI, socket: DeskSocket, aggregates: tuple[Aggregate, ...]) -> list[Json]:
    """Let the first aggregate's events leave, and return what the socket gets of them."""
    carried = await desk_of(app).dispatcher.dispatch(aggregates[0]) if aggregates else 0
    return [await socket.message() for _ in range(carried)]


def name_of(message: Json) -> str:
    return str(message.get("event") or message["type"])


def view_of(message: Json, field: str) -> Json:
    found: Json = message["payload"][field] if "payload" in message else message[field]
    return found


async def watch(socket: DeskSocket, story: Story, thing: Any, key: str) -> None:
    """Watch a thing; an execution on its own channel, and on its agent's for the envelope."""
    if story.kind == "agent_execution":
        await socket.watch(identifier("AiAgentExecutionChannel", execution_id=key))
        await socket.watch(identifier("AiOrchestrationChannel", type="agent", id=str(thing.agent_id)))
    else:
        await socket.watch(identifier("AiOrchestrationChannel", type=story.kind, id=key))


async def look(person: Person, story: Story, key: str) -> Json:
    """The item as REST shows it, and in the list the same where the list has the field."""
    answer = await person.get(f"/ai/{story.path}/{key}")
    assert answer.status_code == 200, answer.text
    item: Json = answer.json()["data"][story.field]
    listed = (await person.get(f"/ai/{story.path}")).json()["data"]["items"]
    [in_list] = [one for one in listed if one[story.key] == key]
    assert item | in_list == item
    return item


class TestOldViewAndEvent:
    @pytest.mark.parametrize("story", STORIES, ids=lambda story: story.kind)
    async def test_each_event_makes_the_old_view_the_fresh_one(
        self, app: FastAPI, hub: Hub, login: Login, story: Story
    ) -> None:
        person, db = await login(), desk_of(app).db
        thing = await story.begin(db, person.tenant.account_id)
        key = str(getattr(thing, story.key))
        async with desk_socket(app, hub, person) as socket:
            await drop_old(app, person)
            await watch(socket, story, thing, key)
            version = thing.version
            async for told, names in story.go_on(db, person.tenant.account_id, thing.id):
                messages = await heard(app, socket, told.aggregates)
                assert [name_of(message) for message in messages] == names
                fresh = await look(person, story, key)
                for message in messages:
                    old_and_event(message, story, fresh)
                assert fresh["version"] == version + (1 if names else 0)
                version = fresh["version"]

    async def test_the_account_hears_of_everything_in_it_and_of_nothing_else(
        self, app: FastAPI, hub: Hub, login: Login
    ) -> None:
        mine, theirs = await login(), await login()
        db = desk_of(app).db
        async with desk_socket(app, hub, mine) as socket:
            await socket.watch(identifier("AiOrchestrationChannel", type="account", id=str(mine.tenant.account_id)))
            for person in (theirs, mine):
                run = await made.make_run(db, person.tenant.account_id)
                await drop_old(app, person)
            events = [await socket.message() for _ in range(2)]
            assert await socket.settled() == []
        assert [name_of(event) for event in events] == ["workflow_collaborative_update", "workflow.run.created"]
        assert view_of(events[1], "workflow_run")["id"] == str(run.id)
        assert set(events[1]) == {"event", "resource_type", "resource_id", "payload", "timestamp"}

    async def test_an_agent_that_is_made_and_changed(self, app: FastAPI, hub: Hub, login: Login) -> None:
        person = await login()
        async with desk_socket(app, hub, person) as socket:
            await socket.watch(identifier("AiOrchestrationChannel", type="account", id=str(person.tenant.account_id)))
            body = {"agent": {"name": "Bee", "provider": "local", "model": "local"}}
            agent_id = (await person.post("/ai/agents", body)).json()["data"]["agent"]["id"]
            for name in ("agent.created", "agent.updated"):
                if name == "agent.updated":
                    await person.client.patch(f"/api/v1/ai/agents/{agent_id}", json={"agent": {"status": "paused"}})
                await drop_old(app, person)
                event = await socket.message()
                fresh = (await person.get(f"/ai/agents/{agent_id}")).json()["data"]["agent"]
                assert (event["event"], event["resource_id"]) == (name, agent_id)
                assert fresh | event["payload"]["agent"] == fresh
        assert (fresh["status"], fresh["version"]) == ("paused", 2)


def old_and_event(message: Json, story: Story, fresh: Json) -> None:
    """Hold an event's whole view against the fresh look."""
    if name_of(message) == "workflow.node.execution.updated":
        node = message["payload"]["node_execution"]
        assert node in fresh["node_executions"]
        assert (node["version"], message["resource_id"]) == (fresh["version"], node["execution_id"])
        return
    view = view_of(message, story.field)
    assert fresh | view == fresh
    assert view["version"] == fresh["version"]
    if name_of(message) == "ralph_loop.learning_added":
        assert message["payload"]["learning"] == fresh["learnings"][-1]
    if name_of(message).startswith("worktree."):
        assert message["payload"]["worktree"] in fresh["worktrees"]


async def drop_old(app: FastAPI, person: Person) -> None:
    """Let everything leave that waits in a person's account."""
    desk = desk_of(app)
    async with desk.db.account(person.tenant.account_id) as conn:
        waiting = (await conn.exec_driver_sql("SELECT DISTINCT aggregate FROM outbox ORDER BY 1")).scalars().all()
    for name in waiting:
        await desk.dispatcher.dispatch(Aggregate(person.tenant.account_id, name))


class TestDashboard:
    async def test_every_change_of_a_run_tells_the_numbers_and_the_active_runs(
        self, app: FastAPI, hub: Hub, login: Login
    ) -> None:
        person, desk = await login(), desk_of(app)
        account_id = person.tenant.account_id
        run = await made.make_run(desk.db, account_id)
        await drop_old(app, person)
        name = identifier("AiWorkflowMonitoringChannel")
        async with desk_socket(app, hub, person) as socket:
            await socket.watch(name)
            for status in (RunStatus.RUNNING, RunStatus.FAILED):
                async with desk.db.account(account_id) as conn:
                    change = RunChange(status, error_details={"message": "x"})
                    told = await workflow_runs.change(conn, account_id, run.id, change)
                messages = await heard(app, socket, told.aggregates[1:])
                fresh = (await person.get("/ai/monitoring")).json()["data"]
                assert [name_of(one) for one in messages] == [
                    "dashboard_stats",
                    "active_executions",
                    "monitoring.metrics.updated",
                ]
                assert messages[0]["stats"] == messages[2]["payload"]["stats"] == fresh["stats"]
                assert messages[1]["executions"] == fresh["executions"]
            assert (await socket.perform(name, "get_dashboard_stats"))["stats"] == fresh["stats"]
            assert (await socket.perform(name, "get_active_executions"))["executions"] == []
        assert fresh["stats"] | {"version": 0} == {
            "total_workflows": 1,
            "active_executions": 0,
            "completed_today": 0,
            "failed_today": 1,
            "version": 0,
        }

    async def test_of_two_changes_at_once_the_later_tells_of_both(self, app: FastAPI, login: Login) -> None:
        person, db = await login(), desk_of(app).db
        account_id = person.tenant.account_id
        runs = [await made.make_run(db, account_id) for _ in range(2)]
        await drop_old(app, person)

        async def begin(row_id: UUID) -> None:
            async with db.account(account_id) as conn:
                await workflow_runs.change(conn, account_id, row_id, RunChange(RunStatus.CANCELLED))

        async with db.account(account_id) as conn:
            await workflow_runs.change(conn, account_id, runs[0].id, RunChange(RunStatus.CANCELLED))
            other = asyncio.create_task(begin(runs[1].id))
            while not await waits(db):
                assert not other.done(), "the second change did not wait for the first"
        await other
        async with db.account(account_id) as conn:
            told = (await conn.exec_driver_sql(TOLD)).scalars().all()
        assert [stats["active_executions"] for stats in told] == [1, 0]

    async def test_alerts_are_of_one_account(self, app: FastAPI, hub: Hub, login: Login) -> None:
        mine, theirs = await login(), await login()
        desk = desk_of(app)
        alert = AlertView(id=uuid4(), severity="warning", title="t", message="m", source="budget", details={})
        async with desk_socket(app, hub, mine) as socket, desk_socket(app, hub, theirs) as other:
            for one in (socket, other):
                await one.watch(identifier("AiWorkflowMonitoringChannel"))
            for cost in (False, True):
                async with desk.db.account(mine.tenant.account_id) as conn:
                    aggregate = await dashboards.alert(conn, mine.tenant.account_id, alert, cost=cost)
                await desk.dispatcher.dispatch(aggregate)
            messages = [await socket.message() for _ in range(6)]
            assert await other.settled() == []
        # The envelope comes by both streams that the subscription has: monitoring and account.
        assert sorted(map(name_of, messages)) == ["cost_alert", *["monitoring.alert.triggered"] * 4, "system_alert"]


class TestSteps:
    async def test_a_run_that_ended_stays_so(self, app: FastAPI, login: Login) -> None:
        person, db = await login(), desk_of(app).db
        account_id = person.tenant.account_id
        run = await made.make_run(db, account_id)
        with pytest.raises(ConflictError, match="initializing cannot become completed"):
            async with db.account(account_id) as conn:
                await workflow_runs.change(conn, account_id, run.id, RunChange(RunStatus.COMPLETED))
        async with db.account(account_id) as conn:
            await workflow_runs.change(conn, account_id, run.id, RunChange(RunStatus.CANCELLED))
        with pytest.raises(ConflictError, match="cancelled cannot become running"):
            async with db.account(account_id) as conn:
                await workflow_runs.change(conn, account_id, run.id, RunChange(RunStatus.RUNNING))

    @pytest.mark.parametrize(
        ("change", "failed"),
        [
            (workflow_runs.change, RunChange(RunStatus.FAILED)),
            (executions.change, ExecutionChange(ExecutionStatus.FAILED)),
        ],
    )
    async def test_a_failure_says_why(self, app: FastAPI, login: Login, change: Any, failed: object) -> None:
        account_id = (await login()).tenant.account_id
        async with desk_of(app).db.account(account_id) as conn:
            with pytest.raises(InvalidInputError, match="says why"):
                await change(conn, account_id, uuid4(), failed)

    async def test_foreign_things_are_unknown(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        db, account_id = desk_of(app).db, mine.tenant.account_id
        run = await made.make_run(db, theirs.tenant.account_id)
        changes: list[tuple[Any, tuple[object, ...]]] = [
            (workflow_runs.create, (NewRun(run.ai_workflow_id),)),
            (workflow_runs.change, (run.id, RunChange(RunStatus.RUNNING))),
            (executions.create, (NewExecution(theirs.tenant.agent_id),)),
        ]
        for change, arguments in changes:
            async with db.account(account_id) as conn:
                with pytest.raises(NotFoundError):
                    await change(conn, account_id, *arguments)


class TestChannels:
    async def test_what_is_foreign_unknown_or_system_is_refused_alike(
        self, app: FastAPI, hub: Hub, login: Login
    ) -> None:
        mine, theirs = await login(), await login()
        db = desk_of(app).db
        async with desk_socket(app, hub, mine) as socket:
            for channel, makers in made.forms().items():
                for make in makers:
                    own = await make(db, mine.tenant.account_id)
                    foreign = await make(db, theirs.tenant.account_id)
                    answer = await socket.subscribe(identifier(channel, **own))
                    assert answer["type"] == "confirm_subscription", (channel, own)
                    await socket.settled()
                    if foreign:
                        answer = await socket.subscribe(identifier(channel, **foreign))
                        assert answer["type"] == "reject_subscription", (channel, foreign)
                        guessed = {name: value if name == "type" else str(uuid4()) for name, value in own.items()}
                        answer = await socket.subscribe(identifier(channel, **guessed))
                        assert answer["type"] == "reject_subscription", (channel, guessed)
            system = identifier("AiOrchestrationChannel", type="system", id=str(mine.tenant.account_id))
            assert (await socket.subscribe(system))["type"] == "reject_subscription"

    async def test_all_breakers_are_those_of_the_account(self, app: FastAPI, hub: Hub, login: Login) -> None:
        mine, theirs = await login(), await login()
        async with desk_socket(app, hub, mine) as socket:
            await socket.watch(identifier("AiOrchestrationChannel", type="circuit_breaker", id="all"))
            for person in (theirs, mine):
                breaker = await made.make_breaker(desk_of(app).db, person.tenant.account_id)
                await drop_old(app, person)
            event = await socket.message()
            assert await socket.settled() == []
        assert event["payload"]["breaker"]["id"] == str(breaker.id)

    async def test_a_viewer_may_watch_and_not_change(self, app: FastAPI, hub: Hub, login: Login) -> None:
        viewer = await login(Role.VIEWER)
        name = identifier("AiWorkflowOrchestrationChannel")
        async with desk_socket(app, hub, viewer) as socket:
            await socket.watch(name)
            for action in ("create_workflow", "update_workflow", "execute_workflow"):
                answer = await socket.perform(name, action)
                assert (answer["type"], "needs the permission" in answer["message"]) == ("error", True)

    async def test_a_workflow_is_made_changed_and_executed(self, app: FastAPI, hub: Hub, login: Login) -> None:
        person, name = await login(), identifier("AiWorkflowOrchestrationChannel")
        nodes = [{"node_id": "a", "node_type": "start", "name": "A"}]
        async with desk_socket(app, hub, person) as socket:
            await socket.watch(name)
            made_one = await socket.perform(
                name, "create_workflow", workflow={"name": "Say Hello!", "status": "active"}, nodes=nodes
            )
            workflow = made_one["workflow"]
            assert (made_one["type"], workflow["slug"]) == ("workflow_created", "say-hello")
            path = f"/ai/workflows/{workflow['id']}"
            assert (await person.get(path)).json()["data"]["workflow"] == workflow
            changed = await socket.perform(
                name, "update_workflow", workflow_id=workflow["id"], updates={"name": "Hello"}
            )
            assert (changed["type"], changed["workflow"]["name"]) == ("workflow_updated", "Hello")
            begun = await socket.perform(
                name, "execute_workflow", workflow_id=workflow["id"], input_variables={"who": "Alice"}
            )
            assert (begun["type"], begun["workflow_run"]["status"]) == ("workflow_execution_started", "initializing")
            await drop_old(app, person)
            events = [await socket.message() for _ in range(3)]
        assert [name_of(event) for event in events] == [
            "workflow_collaborative_update",
            "workflow_collaborative_update",
            "workflow.run.created",
        ]
        assert [event["updated_by"] for event in events[:2]] == [str(person.tenant.user_id)] * 2
        run = (await person.get(f"/ai/workflow_runs/{begun['workflow_run']['run_id']}")).json()["data"]["workflow_run"]
        assert (run["input_variables"], run["triggered_by"]) == ({"who": "Alice"}, str(person.tenant.user_id))

    async def test_only_what_the_list_names_can_be_set(self, app: FastAPI, hub: Hub, login: Login) -> None:
        mine, theirs = await login(), await login()
        db, name = desk_of(app).db, identifier("AiWorkflowOrchestrationChannel")
        own = await made.make_workflow(db, mine.tenant.account_id)
        foreign = await made.make_workflow(db, theirs.tenant.account_id)
        async with desk_socket(app, hub, mine) as socket:
            await socket.watch(name)
            stolen = {"account_id": str(theirs.tenant.account_id)}
            refused = await socket.perform(name, "update_workflow", workflow_id=str(own.id), updates=stolen)
            assert refused["message"] == "Not valid: updates.account_id"
            said = [
                (await socket.perform(name, "update_workflow", workflow_id=str(one), updates={"name": "x"}))["message"]
                for one in (foreign.id, uuid4())
            ]
            assert said == ["No such workflow"] * 2
            said = [
                (await socket.perform(name, "execute_workflow", workflow_id=str(one)))["message"]
                for one in (foreign.id, uuid4())
            ]
            assert said == ["No such workflow"] * 2
            loose = [{"edge_id": "e", "source_node_id": "first", "target_node_id": "gone"}]
            refused = await socket.perform(name, "update_workflow", workflow_id=str(own.id), updates={"edges": loose})
            assert "leads to or from a node that is not there" in refused["message"]

    async def test_an_execution_and_its_agent_are_shown_on_request(self, app: FastAPI, hub: Hub, login: Login) -> None:
        mine, theirs = await login(), await login()
        execution = await made.make_execution(desk_of(app).db, mine.tenant.account_id)
        name = identifier("AiAgentExecutionChannel", execution_id=execution.execution_id)
        fresh = (await mine.get(f"/ai/executions/{execution.id}")).json()["data"]["execution"]
        async with desk_socket(app, hub, mine) as socket:
            await socket.watch(name)
            assert (await socket.perform(name, "request_status"))["execution"] == fresh
            standing = await socket.perform(name, "request_agent_status")
            assert (standing["agent_id"], standing["recent_executions"]) == (str(execution.agent_id), [fresh])
            foreign = await socket.perform(name, "request_agent_status", agent_id=str(theirs.tenant.agent_id))
            assert (foreign["type"], foreign["message"]) == ("error", "No such agent")
