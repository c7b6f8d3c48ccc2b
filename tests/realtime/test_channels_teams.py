"""The channels of missions, teams and people over a real socket: params, greetings, first state, actions, refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from domain.errors import ConflictError, PermissionDeniedError
from domain.missions import MissionView
from domain.people import (
    AccountStatus,
    AnalyticsView,
    ChatMetricsView,
    CurrentMetricsView,
    CustomerView,
    PlanView,
    SubscriptionView,
)
from domain.permissions import Permission, Role
from domain.teams import TeamChannelView, TeamCommand, TeamExecutionView, TeamView
from realtime.identity import Identity
from realtime.teamwork import (
    CommandExecution,
    CountCustomers,
    ReadAnalytics,
    SearchCustomers,
    SetCustomerStatus,
    TeamAtWork,
)
from tests.realtime.cable import Cable, Client, Json, identifier, person

NOW = datetime.now(UTC)


def mission(mission_id: UUID) -> MissionView:
    return MissionView(
        id=mission_id, name="Mars", mission_type="development", status="active", current_phase="planning",
        phase_progress=18, repository=None, team=None, created_by="Ada", started_at=NOW, completed_at=None,
        duration_ms=None, mission_template_id=None, phases=["planning"], approval_gate_phases=[], created_at=NOW, version=4,
    )  # fmt: skip


def at_work(team_id: UUID) -> TeamAtWork:
    team = TeamView(
        id=team_id, name="Painters", description=None, team_type="mesh", coordination_strategy="consensus",
        status="active", parallel_mode="standard", max_parallel_tasks=3, task_timeout_seconds=300, member_count=2,
        created_at=NOW, version=1,
    )  # fmt: skip
    execution = TeamExecutionView(
        id=uuid4(), execution_id="exec_1", team_id=team_id, status="running", objective="Paint it", tasks_total=2,
        tasks_completed=1, tasks_failed=0, progress=50, control_signal=None, redirect_instructions=None,
        total_tokens_used=0, total_cost_usd=0, approval_decision=None, approval_feedback=None, error=None,
        started_at=NOW, completed_at=None, created_at=NOW, version=3,
    )  # fmt: skip
    return TeamAtWork(team, [execution])


def team_channel(channel_id: UUID) -> TeamChannelView:
    return TeamChannelView(
        id=channel_id, team_id=uuid4(), name="general", channel_type="broadcast", is_persistent=True,
        message_retention_hours=None, participant_roles=[], message_count=0, created_at=NOW, version=1,
    )  # fmt: skip


def subscription() -> SubscriptionView:
    plan = PlanView(id=uuid4(), name="Pro", price=20, interval="month", features=["seats"], currency="USD")
    return SubscriptionView(
        id=uuid4(), status="active", current_period_start=NOW, current_period_end=NOW, trial_ends_at=None,
        canceled_at=None, ends_at=None, created_at=NOW, updated_at=NOW, plan=plan, version=2,
    )  # fmt: skip


def customer(customer_id: UUID) -> CustomerView:
    return CustomerView(
        id=customer_id, name="Acme", subdomain="acme", status="active", user="a@acme.test", subscription=None, mrr=0,
        total_users=1, created_at=NOW, updated_at=NOW, version=1,
    )  # fmt: skip


def figures(account_id: UUID | None) -> AnalyticsView:
    chat = ChatMetricsView(
        sessions_total=1, sessions_opened=1, sessions_active=1, sessions_closed=0, messages_inbound=2,
        messages_outbound=2, answer_time_median_s=1.5, answer_time_p95_s=2, resolution_rate=None, input_tokens=1,
        output_tokens=1, cost_usd=0,
    )  # fmt: skip
    money = CurrentMetricsView(mrr=20, arr=240, active_customers=1, churn_rate=0)
    return AnalyticsView(account_id=account_id, period_days=30, current_metrics=money, chat=chat)


def platform_admin(account_id: UUID) -> Identity:
    found = person(account_id, Role.ADMIN)
    return Identity(
        found.user_id, account_id, found.name, found.email, found.permissions | {Permission.SYSTEM_ADMIN.value},
        found.expires_at, found.token_id,
    )  # fmt: skip


async def subscribed(client: Client, name: str) -> list[Json]:
    answer = await client.subscribe(name)
    assert answer["type"] == "confirm_subscription", answer
    return [cast("Json", frame["message"]) for frame in await client.settled()]


async def asked(client: Client, name: str, action: str, **data: object) -> dict[str, Any]:
    await client.perform(name, action, **data)
    return cast("dict[str, Any]", await client.message())


class TestMissionChannel:
    async def test_shows_the_mission_and_lets_its_events_through(self, cable: Cable) -> None:
        view = mission(uuid4())
        cable.shelf.put(cable.account_id, str(view.id), view)
        async with cable.client() as client:
            [state] = await subscribed(client, identifier("MissionChannel", type="mission", id=str(view.id)))
            await cable.publisher.publish(f"mission:mission:{view.id}", "e", b'"live"')
            assert await client.message() == "live"
        payload = cast("Json", state["payload"])
        assert (state["event"], state["is_initial_status"]) == ("status_changed", True)
        assert (payload["status"], payload["current_phase"]) == ("active", "planning")
        assert MissionView.model_validate(payload["mission"]) == view

    async def test_an_account_hears_all_of_its_missions(self, cable: Cable) -> None:
        async with cable.client() as client:
            name = identifier("MissionChannel", type="account", id=str(cable.account_id))
            assert await subscribed(client, name) == []
            await cable.publisher.publish(f"mission:account:{cable.account_id}", "e", b'"live"')
            assert await client.message() == "live"


class TestTeamChannelChannel:
    async def test_greets(self, cable: Cable) -> None:
        view = team_channel(uuid4())
        cable.shelf.put(cable.account_id, str(view.id), view)
        async with cable.client() as client:
            [greeting] = await subscribed(client, identifier("TeamChannelChannel", channel_id=str(view.id)))
            await cable.publisher.publish(f"team_channel:{view.id}", "e", b'"live"')
            assert await client.message() == "live"
        assert greeting.pop("timestamp")
        assert greeting == {"type": "subscription.confirmed", "channel": "team_channel", "channel_id": str(view.id)}


class TestTeamExecutionChannel:
    async def test_greets_and_shows_what_is_under_way(self, cable: Cable) -> None:
        team_id = uuid4()
        thing = at_work(team_id)
        cable.shelf.put(cable.account_id, str(team_id), thing)
        async with cable.client() as client:
            greeting, state = await subscribed(client, identifier("TeamExecutionChannel", team_id=str(team_id)))
            await cable.publisher.publish(f"team_execution:{team_id}", "e", b'"live"')
            assert await client.message() == "live"
        assert (greeting["type"], greeting["channel"]) == ("subscription.confirmed", "team_execution")
        assert (state["type"], state["is_initial_status"], state["progress"]) == ("execution_progress", True, 50)
        assert TeamExecutionView.model_validate(state["execution"]) == thing.executions[0]

    @pytest.mark.parametrize("command", list(TeamCommand))
    @pytest.mark.parametrize("by_name", [True, False])
    async def test_a_command_is_handed_on_in_either_form(
        self, cable: Cable, command: TeamCommand, by_name: bool
    ) -> None:
        team_id = uuid4()
        cable.shelf.put(cable.account_id, str(team_id), at_work(team_id))
        name = identifier("TeamExecutionChannel", team_id=str(team_id))
        data = {"execution_id": "exec_1", "instructions": "In blue"}
        async with cable.client() as client:
            await subscribed(client, name)
            if by_name:
                answer = await asked(client, name, "command", command=command.value, **data)
            else:
                answer = await asked(client, name, command.value, **data)
        assert answer.pop("timestamp")
        assert answer == {"type": "command_acknowledged", "command": command.value, "execution_id": "exec_1"}
        assert cable.orders.given == [CommandExecution(team_id, "exec_1", command, "In blue")]

    async def test_a_refusal_is_said_with_its_reason(self, cable: Cable) -> None:
        team_id = uuid4()
        cable.shelf.put(cable.account_id, str(team_id), at_work(team_id))
        name = identifier("TeamExecutionChannel", team_id=str(team_id))
        cable.orders.refusal = ConflictError("The execution is completed")
        async with cable.client() as client:
            await subscribed(client, name)
            answer = await asked(client, name, "pause", execution_id="exec_1")
        assert (answer["type"], answer["error"]) == ("command_error", "The execution is completed")

    @pytest.mark.parametrize("data", [{}, {"execution_id": "a b"}, {"execution_id": 1}])
    async def test_a_command_to_nothing_is_an_error(self, cable: Cable, data: Json) -> None:
        team_id = uuid4()
        cable.shelf.put(cable.account_id, str(team_id), at_work(team_id))
        name = identifier("TeamExecutionChannel", team_id=str(team_id))
        async with cable.client() as client:
            await subscribed(client, name)
            answer = await asked(client, name, "pause", **data)
        assert (answer["type"], answer["message"]) == ("error", "Not valid: execution_id")
        assert cable.orders.given == []


class TestNotificationChannel:
    async def test_each_person_hears_their_own(self, cable: Cable) -> None:
        ada, bob = person(cable.account_id, Role.VIEWER), person(cable.account_id, Role.VIEWER)
        name = identifier("NotificationChannel", account_id=str(cable.account_id))
        async with cable.client(ada) as client, cable.client(bob) as colleague:
            [greeting] = await subscribed(client, name)
            await subscribed(colleague, name)
            await cable.publisher.publish(f"notifications:{cable.account_id}:{ada.user_id}", "e", b'"for Ada"')
            assert await client.message() == "for Ada"
            assert await colleague.settled() == []
            answer = await asked(client, name, "ping")
        assert greeting["type"] == "connection_established"
        assert (answer["type"], bool(answer["server_timestamp"])) == ("pong", True)


class TestSubscriptionChannel:
    async def test_shows_the_subscription_at_once_and_when_asked(self, cable: Cable) -> None:
        view = subscription()
        cable.shelf.put(cable.account_id, str(cable.account_id), view)
        name = identifier("SubscriptionChannel", account_id=str(cable.account_id))
        owner, other = person(cable.account_id, Role.OWNER), person(cable.account_id, Role.OWNER)
        async with cable.client(owner) as client, cable.client(other) as colleague:
            [state] = await subscribed(client, name)
            await subscribed(colleague, name)
            again = await asked(client, name, "get_status")
            refreshed = await asked(client, name, "refresh_subscriptions")
            assert await colleague.message() == refreshed
            assert await client.settled() == []
            await cable.publisher.publish(f"account_subscription_{cable.account_id}", "e", b'"live"')
            assert await client.message() == "live"
        assert (state["type"], state["account_id"]) == ("subscription_status", str(cable.account_id))
        assert SubscriptionView.model_validate(state["subscription"]) == view
        assert state["subscription"] == again["subscription"] == refreshed["subscription"]
        assert refreshed["type"] == "subscription_updated"

    async def test_an_account_may_have_none(self, cable: Cable) -> None:
        name = identifier("SubscriptionChannel", account_id=str(cable.account_id))
        async with cable.client(person(cable.account_id, Role.OWNER)) as client:
            [state] = await subscribed(client, name)
        assert state["subscription"] is None


class TestCustomerChannel:
    async def test_an_administrator_has_their_own_account(self, cable: Cable) -> None:
        view = customer(cable.account_id)
        cable.orders.answers = {SearchCustomers: [view], CountCustomers: 1}
        name = identifier("CustomerChannel", account_id=str(cable.account_id))
        async with cable.client(person(cable.account_id, Role.ADMIN)) as client:
            [greeting] = await subscribed(client, name)
            found = await asked(client, name, "search", query=" ac ", filters={"status": "active", "plan": "Pro"})
            pong = await asked(client, name, "ping")
            await cable.publisher.publish(f"customer_updates_{cable.account_id}", "e", b'"live"')
            assert await client.message() == "live"
        assert greeting["type"] == "connection_established"
        assert (found["type"], found["query"]) == ("search_results", "ac")
        assert [CustomerView.model_validate(one) for one in found["results"]] == [view]
        assert (pong["type"], pong["customer_count"], bool(pong["server_timestamp"])) == ("pong", 1, True)
        assert cable.orders.given == [SearchCustomers("ac", AccountStatus.ACTIVE, "Pro"), CountCustomers()]

    async def test_a_platform_administrator_has_all(self, cable: Cable) -> None:
        view = customer(uuid4())
        cable.orders.answers = {SearchCustomers: [view], SetCustomerStatus: view, CountCustomers: 7}
        name = identifier("CustomerChannel")
        async with cable.client(platform_admin(cable.account_id)) as client:
            await subscribed(client, name)
            await asked(client, name, "search")
            changed = await asked(client, name, "update_customer_status", customer_id=str(view.id), status="suspended")
            assert (await asked(client, name, "ping"))["customer_count"] == 7
            await cable.publisher.publish("customer_updates_global", "e", b'"live"')
            assert await client.message() == "live"
        assert (changed["type"], changed["customer"]["id"]) == ("update_success", str(view.id))
        assert cable.orders.given == [
            SearchCustomers("", everywhere=True),
            SetCustomerStatus(view.id, AccountStatus.SUSPENDED),
            CountCustomers(everywhere=True),
        ]

    async def test_a_refusal_is_said_with_its_reason(self, cable: Cable) -> None:
        name = identifier("CustomerChannel", account_id=str(cable.account_id))
        cable.orders.refusal = PermissionDeniedError("Only platform administrators may do this")
        async with cable.client(person(cable.account_id, Role.ADMIN)) as client:
            await subscribed(client, name)
            answer = await asked(client, name, "update_customer_status", customer_id=str(uuid4()), status="active")
        assert (answer["type"], answer["error"]) == ("update_error", "Only platform administrators may do this")


class TestAnalyticsChannel:
    async def test_figures_of_ones_own_account(self, cable: Cable) -> None:
        cable.orders.answers = {ReadAnalytics: figures(cable.account_id)}
        name = identifier("AnalyticsChannel", account_id=str(cable.account_id))
        async with cable.client() as client:
            [greeting] = await subscribed(client, name)
            for asked_for in ({}, {"account_id": str(cable.account_id)}):
                answer = await asked(client, name, "request_analytics", **asked_for)
                assert answer["type"] == "analytics_update"
                assert answer["data"]["current_metrics"]["mrr"] == 20
                assert (answer["data"]["account_id"], bool(answer["data"]["timestamp"])) == (
                    str(cable.account_id),
                    True,
                )
            refused = await asked(client, name, "request_analytics", account_id=str(uuid4()))
            await cable.publisher.publish(f"analytics_account_{cable.account_id}", "e", b'"live"')
            assert await client.message() == "live"
        assert greeting["type"] == "analytics_connection_established"
        assert (refused["type"], refused["message"]) == ("error", "These figures are not yours")
        assert cable.orders.given == [ReadAnalytics()] * 2

    async def test_a_platform_administrator_has_those_of_all(self, cable: Cable) -> None:
        cable.orders.answers = {ReadAnalytics: figures(None)}
        name = identifier("AnalyticsChannel")
        async with cable.client(platform_admin(cable.account_id)) as client:
            await subscribed(client, name)
            answer = await asked(client, name, "request_analytics")
        assert answer["data"]["account_id"] is None
        assert cable.orders.given == [ReadAnalytics(everywhere=True)]


KEYS = {
    "AnalyticsChannel": "account_id",
    "CustomerChannel": "account_id",
    "NotificationChannel": "account_id",
    "SubscriptionChannel": "account_id",
    "TeamChannelChannel": "channel_id",
    "TeamExecutionChannel": "team_id",
}


class TestRefusals:
    """Foreign, guessed, missing and malformed all look the same: a rejection and nothing else."""

    @pytest.mark.parametrize("channel", KEYS)
    @pytest.mark.parametrize("form", ["foreign", "missing", "wrong type", "no id", "extra"])
    async def test_what_leads_nowhere(self, cable: Cable, channel: str, form: str) -> None:
        key, foreign, other = KEYS[channel], uuid4(), uuid4()
        cable.shelf.put(other, str(foreign), at_work(foreign))
        cable.shelf.put(other, str(foreign), team_channel(foreign))
        own: dict[str, object] = {key: str(cable.account_id)}
        forms: dict[str, dict[str, object]] = {
            "foreign": {key: str(foreign)},
            "missing": {},
            "wrong type": {key: [str(cable.account_id)]},
            "no id": {key: "all"},
            "extra": own | {"as": "admin"},
        }  # fmt: skip
        name = identifier(channel, **forms[form])
        async with cable.client(person(cable.account_id, Role.OWNER)) as client:
            await client.send(command="subscribe", identifier=name)
            assert await client.settled() == [{"type": "reject_subscription", "identifier": name}]

    @pytest.mark.parametrize(
        "params",
        [
            {"type": "mission", "id": "foreign"},
            {"type": "account", "id": "foreign"},
            {"type": "mission"},
            {"id": "own"},
            {"type": "team", "id": "own"},
            {"type": "mission", "id": "own"},
            {"type": ["account"], "id": "own"},
        ],
    )
    async def test_missions(self, cable: Cable, params: dict[str, object]) -> None:
        view, other = mission(uuid4()), uuid4()
        cable.shelf.put(other, str(view.id), view)
        foreign = view.id if params.get("type") == "mission" else other
        ids = {"foreign": str(foreign), "own": str(cable.account_id)}
        given = {key: ids.get(str(value), value) for key, value in params.items()}
        name = identifier("MissionChannel", **given)
        async with cable.client(person(cable.account_id, Role.OWNER)) as client:
            await client.send(command="subscribe", identifier=name)
            assert await client.settled() == [{"type": "reject_subscription", "identifier": name}]

    @pytest.mark.parametrize("channel", ["SubscriptionChannel", "CustomerChannel", "AnalyticsChannel"])
    async def test_a_role_that_may_not(self, cable: Cable, channel: str) -> None:
        name = identifier(channel, account_id=str(cable.account_id))
        async with cable.client(person(cable.account_id, Role.VIEWER)) as client:
            await client.send(command="subscribe", identifier=name)
            assert await client.settled() == [{"type": "reject_subscription", "identifier": name}]
