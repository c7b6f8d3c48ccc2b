"""Channels over REST."""

from __future__ import annotations

from tests.api.conftest import Login

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


class TestDisconnect:
    async def test_changes_the_status_and_leaves_an_event(self, login: Login) -> None:
        person = await login()
        answer = await person.post(f"/chat/channels/{person.tenant.channel_id}/disconnect")
        assert answer.json()["data"]["channel"]["status"] == "disconnected"
