"""Notifications, subscription, customers and figures, from the row to the socket; and what platform administrators may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.services import Services
from db import accounts, analytics, notifications, subscriptions
from db.notifications import NotificationDraft
from db.session import Database
from db.subscriptions import Terms
from domain.errors import InvalidInputError, NotFoundError
from domain.people import PlanInterval, Severity, SubscriptionStatus
from domain.permissions import Permission, Role
from tests.api.cable import Live, entered
from tests.api.conftest import Login, Person
from tests.api.test_isolation import talk
from tests.api.test_live_missions import carry, heard, live, shown
from tests.api.test_sessions import agent_reply
from tests.conftest import DatabaseUrls
from tests.realtime.cable import Client, Json, identifier

__all__ = ["live"]
NOTE = NotificationDraft(
    "ai_plan_review", "Look", "A plan waits", Severity.WARNING, "ai", "/app/ai/missions/1", metadata={"n": 1}
)


async def told(app: FastAPI, person: Person) -> UUID:
    """Tell a person something; returns the notification's id."""
    services: Services = app.state.services
    async with services.db.account(person.tenant.account_id) as conn:
        view, aggregate = await notifications.notify(conn, person.tenant.user_id, NOTE)
    await services.dispatcher.dispatch(aggregate)
    return view.id


async def a_plan(urls: DatabaseUrls, price: str, interval: PlanInterval = PlanInterval.MONTH) -> UUID:
    owner = Database(urls.owner, pool_size=1)
    async with owner.open() as conn:
        plan_id = await subscriptions.create_plan(
            conn, f"Plan {uuid4().hex[:8]}", price, interval=interval, features=["seats"]
        )
    await owner.close()
    return plan_id


async def make_admin(urls: DatabaseUrls, person: Person, *, granted: bool = True) -> None:
    owner = Database(urls.owner, pool_size=1)
    async with owner.open() as conn:
        assert await accounts.set_platform_admin(conn, person.tenant.email, granted=granted) == person.tenant.user_id
    await owner.close()


async def subscribe(
    app: FastAPI, person: Person, plan_id: UUID, status: SubscriptionStatus = SubscriptionStatus.ACTIVE
) -> None:
    now = datetime.now(UTC)

    async def put(conn: Any) -> Any:
        return (await subscriptions.put(conn, Terms(plan_id, status, now, now + timedelta(days=30))))[1]

    await carry(app, person, put)


async def asked(client: Client, name: str, action: str, **data: object) -> dict[str, Any]:
    await client.perform(name, action, **data)
    answer: Any = await client.message()
    return answer


class TestNotifications:
    async def test_each_event_is_what_a_fresh_get_shows(self, app: FastAPI, live: Live, login: Login) -> None:
        person = await login()
        async with live.client(person) as client:
            await entered(client, identifier("NotificationChannel", account_id=str(person.tenant.account_id)))
            note_id = await told(app, person)
            seen = [await heard(client, "new_notification")]
            assert await shown(person, f"/notifications/{note_id}", "notification") == seen[0]["notification"]
            for what, kind in (("read", "notification_read"), ("dismiss", "notification_dismissed")):
                answer = await person.client.patch(f"/api/v1/notifications/{note_id}/{what}")
                seen.append(await heard(client, kind))
                fresh = await shown(person, f"/notifications/{note_id}", "notification")
                assert answer.json()["data"]["notification"] == fresh == seen[-1]["notification"]
                assert seen[-1]["notification_id"] == str(note_id)
                again = await person.client.patch(f"/api/v1/notifications/{note_id}/{what}")
                assert again.json()["data"]["notification"] == fresh
            assert await client.settled() == []
        versions = [event["notification"]["version"] for event in seen]
        assert versions == [1, 2, 3]
        assert [bool(seen[1]["notification"][name]) for name in ("read", "dismissed_at")] == [True, False]
        assert "user_id" not in seen[0]

    async def test_lists_show_what_matters(self, app: FastAPI, login: Login) -> None:
        person = await login()
        first, second, third = [await told(app, person) for _ in range(3)]
        await person.client.patch(f"/api/v1/notifications/{first}/read")
        await person.client.patch(f"/api/v1/notifications/{second}/dismiss")

        async def ids(**params: Any) -> list[str]:
            items = (await person.get("/notifications", **params)).json()["data"]["items"]
            return [item["id"] for item in items]

        assert await ids() == [str(third), str(first)]
        assert await ids(unread=True) == [str(third)]
        assert await ids(dismissed=True) == [str(third), str(second), str(first)]

    async def test_a_colleague_neither_sees_nor_hears_nor_changes_it(
        self, app: FastAPI, live: Live, login: Login, database_urls: DatabaseUrls
    ) -> None:
        ada, bob = await login(), await login()
        owner = Database(database_urls.owner, pool_size=1)
        async with owner.open() as conn:
            for person, role in ((ada, Role.VIEWER), (bob, Role.OWNER)):
                await conn.execute(
                    text(
                        "INSERT INTO memberships (account_id, user_id, role, created_at) VALUES (:account_id, :user_id,"
                        " :role, now() - interval '1 day') ON CONFLICT DO NOTHING"
                    ),
                    {"account_id": ada.tenant.account_id, "user_id": person.tenant.user_id, "role": role.value},
                )
        await owner.close()
        await relogin(bob)
        assert (await bob.get("/auth/me")).json()["data"]["account_id"] == str(ada.tenant.account_id)
        async with live.client(bob) as client:
            await entered(client, identifier("NotificationChannel", account_id=str(ada.tenant.account_id)))
            note_id = await told(app, ada)
            assert await client.settled() == []
        assert (await bob.get("/notifications")).json()["data"]["items"] == []
        assert (await bob.get(f"/notifications/{note_id}")).status_code == 404
        assert (await bob.client.patch(f"/api/v1/notifications/{note_id}/read")).status_code == 404
        assert (await shown(ada, f"/notifications/{note_id}", "notification"))["read"] is False

    async def test_only_people_of_the_account_are_told(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        services: Services = app.state.services
        with pytest.raises(NotFoundError):
            async with services.db.account(mine.tenant.account_id) as conn:
                await notifications.notify(conn, theirs.tenant.user_id, NOTE)


async def relogin(person: Person) -> None:
    from tests.api.conftest import PASSWORD

    answer = await person.client.post("/api/v1/auth/login", json={"email": person.tenant.email, "password": PASSWORD})
    person.client.headers["Authorization"] = f"Bearer {answer.json()['data']['access_token']}"


class TestSubscription:
    async def test_each_event_is_what_a_fresh_get_shows(
        self, app: FastAPI, live: Live, login: Login, database_urls: DatabaseUrls
    ) -> None:
        person = await login()
        assert (await person.get("/billing/subscription")).json()["data"] == {"subscription": None}
        plan_id = await a_plan(database_urls, "20")
        name = identifier("SubscriptionChannel", account_id=str(person.tenant.account_id))
        async with live.client(person) as client:
            [state] = await entered(client, name)
            assert state["subscription"] is None
            for status in (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.CANCELED):
                await subscribe(app, person, plan_id, status)
                event = await heard(client, "subscription_updated")
                fresh = await shown(person, "/billing/subscription", "subscription")
                assert event["subscription"] == fresh
                assert (fresh["status"], bool(fresh["canceled_at"])) == (status, status == "canceled")
                assert (await asked(client, name, "get_status"))["subscription"] == fresh
        assert (fresh["version"], fresh["plan"]["price"], fresh["plan"]["features"]) == (3, 20, ["seats"])

    async def test_a_plan_must_be_there(self, app: FastAPI, login: Login) -> None:
        with pytest.raises(NotFoundError):
            await subscribe(app, await login(), uuid4())


class TestCustomers:
    async def test_an_account_administrator_sees_their_own_alone(
        self, app: FastAPI, live: Live, login: Login, database_urls: DatabaseUrls
    ) -> None:
        mine, theirs = await login(), await login()
        await subscribe(app, mine, await a_plan(database_urls, "120", PlanInterval.YEAR))
        name = identifier("CustomerChannel", account_id=str(mine.tenant.account_id))
        async with live.client(mine) as client:
            await entered(client, name)
            [found] = (await asked(client, name, "search", query="account"))["results"]
            assert (found["id"], found["mrr"], found["total_users"]) == (str(mine.tenant.account_id), 10, 1)
            assert (found["user"], found["subscription"]["status"]) == (mine.tenant.email, "active")
            assert (await asked(client, name, "search", query="nobody"))["results"] == []
            assert (await asked(client, name, "ping"))["customer_count"] == 1
            for customer in (mine, theirs):
                target = str(customer.tenant.account_id)
                answer = await asked(client, name, "update_customer_status", customer_id=target, status="suspended")
                assert answer["type"] == "update_error"
            for foreign in ({}, {"account_id": str(theirs.tenant.account_id)}):
                refused = await client.subscribe(identifier("CustomerChannel", **foreign))
                assert refused["type"] == "reject_subscription"
        assert (await theirs.get("/auth/me")).status_code == 200

    async def test_a_platform_administrator_shuts_and_opens_accounts(
        self, app: FastAPI, live: Live, login: Login, database_urls: DatabaseUrls
    ) -> None:
        admin, theirs = await login(), await login()
        await make_admin(database_urls, admin)
        token = await a_service(database_urls, theirs)
        name, target = identifier("CustomerChannel"), str(theirs.tenant.account_id)
        async with live.client(admin) as client, live.client(theirs) as victim:
            await entered(client, name)
            own = await asked(
                client, name, "update_customer_status", customer_id=str(admin.tenant.account_id), status="cancelled"
            )
            assert own["error"] == "Your own account cannot be shut by you"
            lost = await asked(client, name, "update_customer_status", customer_id=str(uuid4()), status="active")
            assert lost["error"] == "No such customer"
            answer, event = await self.changed(client, name, target, "suspended")
            assert answer["customer"] == event["customer"]
            [found] = (await asked(client, name, "search", query=slug(theirs)))["results"]
            assert found == event["customer"]
            frames, _ = await victim.until_closed()
            assert frames[-1]["reconnect"] is False
            assert (await theirs.get("/auth/me")).status_code == 401
            assert await serves(theirs, token) == 401
            await self.changed(client, name, target, "active")
            assert (await theirs.get("/auth/me")).status_code == 200
            assert await serves(theirs, token) == 200
            assert (await asked(client, name, "ping"))["customer_count"] >= 2

    @staticmethod
    async def changed(client: Client, name: str, target: str, status: str) -> tuple[dict[str, Any], dict[str, Any]]:
        await client.perform(name, "update_customer_status", customer_id=target, status=status)
        frames: list[Any] = [await client.message(), await client.message()]
        [answer] = [frame for frame in frames if frame["type"] == "update_success"]
        [event] = [frame for frame in frames if frame["type"] == "customer_updated"]
        assert event["customer"]["status"] == status
        return answer, event

    async def test_a_flag_that_was_taken_away_shows_nothing_more(
        self, live: Live, login: Login, database_urls: DatabaseUrls
    ) -> None:
        admin, theirs = await login(), await login()
        await make_admin(database_urls, admin)
        name, target = identifier("CustomerChannel"), str(theirs.tenant.account_id)
        async with live.client(admin) as client:
            await entered(client, name)
            assert len((await asked(client, name, "search"))["results"]) >= 2
            await make_admin(database_urls, admin, granted=False)
            assert (await asked(client, name, "search"))["type"] == "error"
            answer = await asked(client, name, "update_customer_status", customer_id=target, status="suspended")
            assert answer["type"] == "update_error"
            assert (await asked(client, name, "ping"))["type"] == "error"
        assert (await theirs.get("/auth/me")).status_code == 200

    async def test_the_flag_opens_no_route_of_another_account(
        self, app: FastAPI, login: Login, database_urls: DatabaseUrls
    ) -> None:
        admin, theirs = await login(Role.VIEWER), await login()
        await make_admin(database_urls, admin)
        permissions = (await admin.get("/auth/me")).json()["data"]["permissions"]
        assert Permission.SYSTEM_ADMIN in permissions
        assert (await admin.get(f"/chat/channels/{theirs.tenant.channel_id}")).status_code == 404
        assert (await admin.get("/analytics")).status_code == 403
        assert Permission.SYSTEM_ADMIN not in (await theirs.get("/auth/me")).json()["data"]["permissions"]


async def a_service(urls: DatabaseUrls, person: Person) -> str:
    owner = Database(urls.owner, pool_size=1)
    async with owner.account(person.tenant.account_id) as conn:
        token = await accounts.create_service_token(
            conn, person.tenant.account_id, name="Bot", permissions=[Permission.MISSIONS_READ]
        )
    await owner.close()
    return token


async def serves(person: Person, token: str) -> int:
    """How a service is answered."""
    headers = {"Authorization": f"Bearer {token}"}
    return (await person.client.get("/api/v1/ai/missions", headers=headers)).status_code


def slug(person: Person) -> str:
    return person.tenant.email.partition("@")[0]


class TestAnalytics:
    async def test_are_counted_from_the_accounts_own_rows(
        self, app: FastAPI, live: Live, login: Login, database_urls: DatabaseUrls
    ) -> None:
        mine, theirs = await login(), await login()
        for person in (mine, theirs):
            session_id, message_id, _ = await talk(app, person)
            await agent_reply(app, person, session_id, message_id)
        await subscribe(app, mine, await a_plan(database_urls, "100", PlanInterval.YEAR))
        await used(app, mine, input_tokens=30, output_tokens=12)
        found = await shown(mine, "/analytics", "analytics")
        chat, money = found["chat"], found["current_metrics"]
        assert found["account_id"] == str(mine.tenant.account_id)
        assert (chat["sessions_total"], chat["sessions_opened"], chat["sessions_closed"]) == (1, 1, 0)
        assert (chat["messages_inbound"], chat["messages_outbound"]) == (1, 1)
        assert 0 < chat["answer_time_median_s"] == chat["answer_time_p95_s"] < 600
        assert (chat["input_tokens"], chat["output_tokens"], chat["resolution_rate"]) == (30, 12, None)
        assert money == {"mrr": 8.33, "arr": 100, "active_customers": 1, "churn_rate": 0}
        name = identifier("AnalyticsChannel", account_id=str(mine.tenant.account_id))
        async with live.client(mine) as client:
            await entered(client, name)
            answer = await asked(client, name, "request_analytics")
            assert {key: value for key, value in answer["data"].items() if key != "timestamp"} == found
            foreign = await client.subscribe(identifier("AnalyticsChannel", account_id=str(theirs.tenant.account_id)))
            everything = await client.subscribe(identifier("AnalyticsChannel"))
            assert {foreign["type"], everything["type"]} == {"reject_subscription"}

    async def test_a_closed_session_counts_as_resolved_unless_a_person_answered(
        self, app: FastAPI, login: Login
    ) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        assert (await person.post(f"/chat/sessions/{session_id}/close", {})).status_code == 200
        chat = (await shown(person, "/analytics", "analytics"))["chat"]
        assert (chat["sessions_closed"], chat["resolution_rate"]) == (1, 100)
        services: Services = app.state.services
        async with services.db.account(person.tenant.account_id) as conn:
            await conn.execute(
                text(
                    "INSERT INTO chat_messages (id, account_id, channel_id, session_id, direction, content,"
                    " sanitized_content, reply_to, trace_id, author_user_id) SELECT gen_random_uuid(), account_id,"
                    " channel_id, id, 'outbound', 'x', 'x', '{}', 't', :user_id FROM chat_sessions"
                ),
                {"user_id": person.tenant.user_id},
            )
        assert (await shown(person, "/analytics", "analytics"))["chat"]["resolution_rate"] == 0

    async def test_a_platform_administrator_has_the_sum(
        self, app: FastAPI, live: Live, login: Login, database_urls: DatabaseUrls
    ) -> None:
        admin, payer, leaver = await login(), await login(), await login()
        await make_admin(database_urls, admin)
        name = identifier("AnalyticsChannel")
        async with live.client(admin) as client:
            await entered(client, name)
            before = (await asked(client, name, "request_analytics"))["data"]
            await subscribe(app, payer, await a_plan(database_urls, "40"))
            await subscribe(app, leaver, await a_plan(database_urls, "70"), SubscriptionStatus.CANCELED)
            await talk(app, payer)
            after = (await asked(client, name, "request_analytics"))["data"]
            own = (await asked(client, name, "request_analytics", account_id=str(admin.tenant.account_id)))["data"]
        assert (before["account_id"], after["account_id"], own["account_id"]) == (
            None, None, str(admin.tenant.account_id),
        )  # fmt: skip
        gained = {key: after["current_metrics"][key] - before["current_metrics"][key] for key in ("mrr", "arr")}
        assert gained == {"mrr": 40, "arr": 480}
        assert after["current_metrics"]["active_customers"] == before["current_metrics"]["active_customers"] + 1
        assert after["current_metrics"]["churn_rate"] > before["current_metrics"]["churn_rate"]
        assert after["chat"]["sessions_total"] == before["chat"]["sessions_total"] + 1
        assert own["chat"]["sessions_total"] == 0

    async def test_alerts_are_raised_once_and_settled(
        self, app: FastAPI, live: Live, login: Login, database_urls: DatabaseUrls
    ) -> None:
        person = await login()
        plan_id = await a_plan(database_urls, "40")
        services: Services = app.state.services
        async with services.db.account(person.tenant.account_id) as conn:
            await analytics.watch(conn, "Much", "mrr", condition="above", threshold=Decimal(30))
            with pytest.raises(InvalidInputError):
                await analytics.watch(conn, "None", "happiness", condition="above", threshold=Decimal(1))
        async with live.client(person) as client:
            await entered(client, identifier("AnalyticsChannel", account_id=str(person.tenant.account_id)))
            assert await self.told(app, person, client) == ["metrics_update"]
            await subscribe(app, person, plan_id)
            assert await self.told(app, person, client) == ["metrics_update", "alert_triggered"]
            assert await self.told(app, person, client) == ["metrics_update"]
            await subscribe(app, person, plan_id, SubscriptionStatus.CANCELED)
            assert await self.told(app, person, client) == ["metrics_update", "alert_resolved"]
        [alert] = (await person.get("/analytics/alerts")).json()["data"]["items"]
        assert (alert["status"], alert["trigger_count"], alert["current_value"]) == ("resolved", 1, 0)

    @staticmethod
    async def told(app: FastAPI, person: Person, client: Client) -> list[str]:
        """Count, and compare each event with what a fresh GET shows."""
        services: Services = app.state.services
        async with services.db.account(person.tenant.account_id) as conn:
            aggregates = await analytics.publish(conn)
        for aggregate in aggregates:
            await services.dispatcher.dispatch(aggregate)
        events: list[Any] = [await client.message() for _ in aggregates]
        assert await client.settled() == list[Json]()
        for event in events:
            if event["type"] == "metrics_update":
                assert event["metrics"] == await shown(person, "/analytics", "analytics")
            else:
                assert (await person.get("/analytics/alerts")).json()["data"]["items"] == [event["alert"]]
        return [event["type"] for event in events]


async def used(app: FastAPI, person: Person, *, input_tokens: int, output_tokens: int) -> None:
    """Let the account's one turn have used so much."""
    services: Services = app.state.services
    async with services.db.account(person.tenant.account_id) as conn:
        await conn.execute(
            text("UPDATE turns SET input_tokens = :input, output_tokens = :output"),
            {"input": input_tokens, "output": output_tokens},
        )
