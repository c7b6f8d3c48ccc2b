"""Channels over REST."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.channel_bodies import CheckView
from api.services import Services
from tests.adapters.support import Drop, FakeServer, Reply
from tests.api.conftest import Login, Person
from tests.api.test_isolation import talk

NEW = {"name": "Help", "platform": "telegram", "credentials": {"bot_token": "1:a", "webhook_secret": "s3cret"}}


class TestCreate:
    async def test_returns_the_channel_with_its_webhook_address(self, login: Login) -> None:
        person = await login()
        answer = await person.post("/chat/channels", {"channel": NEW | {"configuration": {"busy_mode": "collect"}}})
        assert answer.status_code == 201
        channel = answer.json()["data"]["channel"]
        assert channel["webhook_url"].startswith("https://chat.example.org/api/v1/chat/webhooks/")
        assert channel["credentials_set"] == ["bot_token", "webhook_secret"]
        assert channel["configuration"] == {"busy_mode": "collect"}
        assert "s3cret" not in answer.text

    async def test_says_which_credentials_are_missing_and_where_they_are_found(self, login: Login) -> None:
        person = await login()
        answer = await person.post("/chat/channels", {"channel": NEW | {"credentials": {}}})
        assert answer.status_code == 422
        assert "bot_token" in answer.json()["error"]

    async def test_refuses_credentials_that_the_platform_does_not_know(self, login: Login) -> None:
        person = await login()
        body = NEW | {"credentials": {"bot_token": "1:a", "webhook_secret": "s", "colour": "red"}}
        answer = await person.post("/chat/channels", {"channel": body})
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
        assert "colour" in answer.json()["error"]

    async def test_refuses_an_unknown_platform_a_taken_name_and_a_foreign_agent(self, login: Login) -> None:
        mine, theirs = await login(), await login()
        unknown = await mine.post("/chat/channels", {"channel": NEW | {"platform": "pigeon"}})
        assert unknown.status_code == 422
        await mine.post("/chat/channels", {"channel": NEW})
        taken = await mine.post("/chat/channels", {"channel": NEW})
        assert taken.json()["error"] == "A channel of this platform has that name already"
        foreign = NEW | {"name": "Other", "default_agent_id": str(theirs.tenant.agent_id)}
        answer = await mine.post("/chat/channels", {"channel": foreign})
        assert answer.json()["error"] == "No such agent in this account"

    async def test_names_the_field_that_does_not_fit(self, login: Login) -> None:
        person = await login()
        answer = await person.post("/chat/channels", {"channel": NEW | {"rate_limit_per_minute": 0}})
        assert answer.status_code == 422
        [problem] = answer.json()["details"]["errors"]
        assert problem["field"] == "channel.rate_limit_per_minute"


class TestChange:
    async def test_merges_credentials_and_configuration(self, login: Login) -> None:
        person = await login()
        path = f"/chat/channels/{person.tenant.channel_id}"
        changed = await person.client.patch(
            f"/api/v1{path}", json={"channel": {"name": "New", "configuration": {"busy_mode": "steer"}}}
        )
        channel = changed.json()["data"]["channel"]
        assert (channel["name"], channel["configuration"]) == ("New", {"busy_mode": "steer"})
        assert channel["credentials_set"] == ["bot_token", "webhook_secret"]

    async def test_removes_what_is_given_as_nothing(self, login: Login) -> None:
        person = await login()
        await change(person, configuration={"busy_mode": "steer", "greeting": "hi"}, routing_config={"a": 1})
        channel = await change(person, configuration={"busy_mode": None}, routing_config=None, default_agent_id=None)
        assert channel["configuration"] == {"greeting": "hi"}
        assert (channel["default_agent"], channel["default_agent_id"]) == (None, None)

    @pytest.mark.parametrize(
        "configuration",
        [
            {"busy_mode": "sometimes"},
            {"collect_window_ms": "soon"},
            {"collect_window_ms": -1},
            {"idle_after_s": 0},
            {"groups": "none"},
            {"ambiguous_policy": "hope"},
            {"streaming": "sometimes"},
            {"credentials": {"bot_token": "1:a"}},
        ],
    )
    async def test_refuses_settings_that_a_session_would_stumble_over(
        self, login: Login, configuration: dict[str, Any]
    ) -> None:
        person = await login()
        path = f"/api/v1/chat/channels/{person.tenant.channel_id}"
        answer = await person.client.patch(path, json={"channel": {"configuration": configuration}})
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
        assert answer.json()["details"]["errors"][0]["field"].startswith("channel.configuration")

    async def test_keeps_required_credentials_complete(self, login: Login) -> None:
        person = await login()
        path = f"/api/v1/chat/channels/{person.tenant.channel_id}"
        answer = await person.client.patch(path, json={"channel": {"credentials": {"webhook_secret": " "}}})
        assert answer.status_code == 422
        assert "webhook_secret" in answer.json()["error"]

    async def test_makes_up_what_only_the_platform_is_told(self, login: Login) -> None:
        person = await login()
        body = NEW | {"name": "No secret of its own", "credentials": {"bot_token": "1:a"}}
        answer = await person.post("/chat/channels", {"channel": body})
        assert answer.json()["data"]["channel"]["credentials_set"] == ["bot_token", "webhook_secret"]

    async def test_tells_who_watches(self, app: FastAPI, login: Login) -> None:
        person = await login()
        channel = await change(person, name="Renamed")
        event = (await events(app, person))[-1]
        assert (event["channel"]["name"], event["channel"]["version"]) == ("Renamed", channel["version"])

    async def test_credentials_under_a_lost_key_can_be_given_anew(self, app: FastAPI, login: Login) -> None:
        person = await login()
        services: Services = app.state.services
        async with services.db.account(person.tenant.account_id) as conn:
            await conn.execute(text("UPDATE chat_channels SET credentials = decode('01ffffffff', 'hex')"))
        path = f"/chat/channels/{person.tenant.channel_id}"
        assert (await person.get(path)).json()["data"]["channel"]["credentials_set"] == []
        tested = (await person.post(f"{path}/test")).json()["data"]
        assert tested["details"]["ok"] is False
        channel = await change(person, credentials={"bot_token": "2:b", "webhook_secret": "new"})
        assert channel["credentials_set"] == ["bot_token", "webhook_secret"]


async def change(person: Person, **fields: Any) -> dict[str, Any]:
    path = f"/api/v1/chat/channels/{person.tenant.channel_id}"
    return (await person.client.patch(path, json={"channel": fields})).json()["data"]["channel"]


async def events(app: FastAPI, person: Person) -> list[dict[str, Any]]:
    """Return what a person's outbox holds; nothing empties it here."""
    services: Services = app.state.services
    async with services.db.account(person.tenant.account_id) as conn:
        rows = await conn.execute(text("SELECT data FROM outbox WHERE kind = 'event' ORDER BY id"))
        return list(rows.scalars())


class TestToken:
    async def test_a_new_token_makes_the_old_address_unknown(self, login: Login) -> None:
        person = await login()
        answer = await person.post(f"/chat/channels/{person.tenant.channel_id}/regenerate_token")
        assert person.tenant.webhook_token not in answer.json()["data"]["webhook_url"]
        old = await person.client.post(f"/api/v1/chat/webhooks/{person.tenant.webhook_token}", json={})
        assert old.status_code == 404


class TestPlatforms:
    async def test_says_what_each_needs(self, login: Login) -> None:
        person = await login()
        found = {one["id"]: one for one in (await person.get("/chat/channels/platforms")).json()["data"]["platforms"]}
        assert {"telegram", "slack"} <= set(found)
        assert all(field["where"] for one in found.values() for field in one["credentials"])


def bot(**more: object) -> Reply:
    return Reply(body={"ok": True, "result": {"id": 1, "username": "help_bot", **more}})


class TestConnect:
    async def test_registers_the_webhook_and_says_each_status(
        self, app: FastAPI, login: Login, server: FakeServer
    ) -> None:
        person = await login()
        path = f"/chat/channels/{person.tenant.channel_id}"
        await person.post(f"{path}/disconnect")
        shown = (await person.get(path)).json()["data"]["channel"]
        server.will(bot(), Reply(body={"ok": True, "result": True}), bot(url=shown["webhook_url"]))
        answer = await person.post(f"{path}/connect")
        assert answer.json()["data"]["channel"]["status"] == "connected"
        assert shown["webhook_url"].encode() in server.received[1].body
        assert [event["status"] for event in await events(app, person)] == ["disconnected", "connecting", "connected"]

    async def test_again_is_fine(self, login: Login, server: FakeServer) -> None:
        person = await login()
        path = f"/chat/channels/{person.tenant.channel_id}"
        url = (await person.get(path)).json()["data"]["channel"]["webhook_url"]
        registered = [bot(), Reply(body={"ok": True, "result": True}), bot(url=url)]
        server.will(*registered, *registered)
        assert [(await person.post(f"{path}/connect")).status_code for _ in range(2)] == [200, 200]

    @pytest.mark.parametrize(
        "reply", [Reply(401, {"ok": False, "error_code": 401, "description": "Unauthorized"}), Drop()]
    )
    async def test_a_failure_is_told_in_words_and_kept(
        self, login: Login, server: FakeServer, reply: Reply | Drop
    ) -> None:
        person = await login()
        server.will(reply)
        path = f"/chat/channels/{person.tenant.channel_id}"
        answer = await person.post(f"{path}/connect")
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
        channel = (await person.get(path)).json()["data"]["channel"]
        assert (channel["status"], channel["last_error"]) == ("error", answer.json()["error"])
        assert "1:a" not in answer.text


class TestTest:
    async def test_says_what_is_wrong_and_changes_nothing(self, login: Login, server: FakeServer) -> None:
        person = await login()
        server.will(Reply(401, {"ok": False, "error_code": 401, "description": "Unauthorized"}))
        path = f"/chat/channels/{person.tenant.channel_id}"
        answer = (await person.post(f"{path}/test")).json()
        assert answer["data"]["details"]["ok"] is False
        assert answer["message"] == "; ".join(answer["data"]["details"]["problems"])
        assert (await person.get(path)).json()["data"]["channel"]["status"] == "connected"

    def test_what_works_may_still_lack_something(self) -> None:
        def words(ok: bool, *problems: str) -> str:
            return CheckView(ok=ok, identity={}, problems=list(problems)).words()

        assert words(True) == "The platform accepts the credentials"
        assert words(True, "a", "b") == "The platform accepts the credentials, but: a; b"
        assert words(False, "a") == "a"


class TestDelete:
    async def test_only_a_channel_without_history(self, app: FastAPI, login: Login) -> None:
        person = await login()
        made = (await person.post("/chat/channels", {"channel": NEW})).json()["data"]["channel"]
        await person.post("/chat/blacklists", {"platform_user_id": "7", "channel_id": made["id"]})
        assert (await person.client.delete(f"/api/v1/chat/channels/{made['id']}")).status_code == 200
        assert (await person.get(f"/chat/channels/{made['id']}")).status_code == 404
        await talk(app, person)
        answer = await person.client.delete(f"/api/v1/chat/channels/{person.tenant.channel_id}")
        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")


class TestDisconnect:
    async def test_changes_the_status_and_leaves_an_event(self, login: Login) -> None:
        person = await login()
        answer = await person.post(f"/chat/channels/{person.tenant.channel_id}/disconnect")
        assert answer.json()["data"]["channel"]["status"] == "disconnected"
