"""Discord's API: answers, refusals, its memory of nonces, and signed interactions, over a real socket."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from simulator.client import SimulatorClient
from tests.simulator.support import Bot, Hook, failure, new_bot


@pytest.fixture
async def bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "discord", time_factor=600)


async def call(bot: Bot, method: str, path: str, token: str | None = None, **body: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bot {token or bot.token}"}
    return await bot.http.request(method, f"{bot.sim.origin}/api/v10{path}", headers=headers, json=body or None)


class TestInteractions:
    async def test_a_persons_words_come_as_a_signed_command(self, bot: Bot) -> None:
        said = await bot.sim.say(bot.name, "alice", "open today?")
        (request,) = await bot.hook.wait(1)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(bot.credentials["public_key"]))
        signed = request.headers["x-signature-timestamp"].encode() + request.body
        key.verify(bytes.fromhex(request.headers["x-signature-ed25519"]), signed)
        assert (request.json["type"], request.json["user"]["id"]) == (2, said["user_id"])
        assert request.json["data"]["options"] == [{"name": "question", "type": 3, "value": "open today?"}]

    async def test_an_answer_of_type_4_is_seen(self, bot: Bot) -> None:
        bot.hook.usual = (200, {"content-type": "application/json"}, b'{"type":4,"data":{"content":"> \\\\*x"}}')
        await bot.sim.say(bot.name, "alice", "x", wait=True)
        screen = await bot.sim.phone(bot.name, "alice")
        shown = [message["text"] for chat in screen["chats"] for message in chat["messages"]]
        assert shown == ["> *x"]

    async def test_they_are_never_repeated(self, bot: Bot) -> None:
        bot.hook.answers.append(failure(500))
        await bot.sim.say(bot.name, "alice", "x", wait=True)
        (attempt,) = await bot.sim.deliveries(bot.name, kind="command", timeout_s=5)
        assert attempt["outcome"] == "dropped"

    async def test_in_a_server_the_person_is_a_member(self, bot: Bot) -> None:
        await bot.sim.say(bot.name, "alice", "x", chat="general")
        (request,) = await bot.hook.wait(1)
        assert {"guild_id", "member"} <= request.json.keys()
        assert "user" not in request.json

    async def test_an_address_is_tested_with_good_and_wrong_signatures(self, bot: Bot) -> None:
        taken = await call(bot, "PATCH", "/applications/@me", interactions_endpoint_url=bot.hook.url)
        assert (taken.status_code, len(bot.hook.handshakes)) == (200, 1)
        nowhere = await call(bot, "PATCH", "/applications/@me", interactions_endpoint_url="http://127.0.0.1:1")
        assert (nowhere.status_code, nowhere.json()["code"]) == (400, 50035)


class TestMessages:
    async def test_a_repeated_nonce_gets_the_first_message(self, bot: Bot) -> None:
        chat = await bot.chat_with("alice")
        path = f"/channels/{chat}/messages"
        sends = [(await call(bot, "POST", path, content=text, nonce="n", enforce_nonce=True)).json() for text in "ab"]
        assert [sent["content"] for sent in sends] == ["a", "a"]
        assert sends[0]["nonce"] == "n"
        third = (await call(bot, "POST", path, content="c", nonce="n")).json()
        assert third["id"] > sends[0]["id"]
        listed = (await call(bot, "GET", path)).json()
        assert [message["content"] for message in listed] == ["c", "a"]
        after = (await call(bot, "GET", f"{path}?after={sends[0]['id']}")).json()
        assert [message["content"] for message in after] == ["c"]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"content": "x" * 2001}, 50035),
            ({"content": " "}, 50006),
            ({"content": "x", "nonce": "n" * 26}, 50035),
            ({"content": "x", "message_reference": {"message_id": "123456789012345678"}}, 50035),
        ],
    )
    async def test_refuses(self, bot: Bot, body: dict[str, Any], code: int) -> None:
        chat = await bot.chat_with("alice")
        refused = await call(bot, "POST", f"/channels/{chat}/messages", **body)
        assert (refused.status_code, refused.json()["code"]) == (400, code)

    async def test_closed_doors(self, bot: Bot) -> None:
        chat = await bot.chat_with("bob")
        await bot.sim.post("people", {"channel": bot.name, "name": "bob", "blocked": True})
        closed = await call(bot, "POST", f"/channels/{chat}/messages", content="x")
        assert (closed.status_code, closed.json()["code"]) == (403, 50007)
        unknown = await call(bot, "POST", "/channels/123456789012345678/messages", content="x")
        assert (unknown.status_code, unknown.json()["code"]) == (404, 10003)
        assert (await call(bot, "GET", "/users/@me", token="wrong")).status_code == 401

    async def test_a_rate_limit_says_how_long(self, bot: Bot) -> None:
        chat = await bot.chat_with("alice")
        await bot.sim.fault("rate_limited", channel=bot.name, retry_after_s=1.25)
        slowed = await call(bot, "POST", f"/channels/{chat}/messages", content="x")
        assert (slowed.status_code, slowed.json()["retry_after"], slowed.headers["retry-after"]) == (429, 1.25, "2")

    async def test_edit_and_delete(self, bot: Bot) -> None:
        chat = await bot.chat_with("alice")
        path = f"/channels/{chat}/messages"
        sent = (await call(bot, "POST", path, content="a")).json()
        edited = (await call(bot, "PATCH", f"{path}/{sent['id']}", content="b")).json()
        assert (edited["content"], edited["edited_timestamp"] is None) == ("b", False)
        assert (await call(bot, "DELETE", f"{path}/{sent['id']}")).status_code == 204
        assert (await call(bot, "GET", f"{path}/{sent['id']}")).status_code == 404


class TestEdits:
    async def test_have_a_limit_of_their_own(self, bot: Bot) -> None:
        path = f"/channels/{await bot.chat_with('alice')}/messages"
        sent = (await call(bot, "POST", path, content="a")).json()
        await bot.register(flood_control=True)
        edits = [await call(bot, "PATCH", f"{path}/{sent['id']}", content=f"{number}") for number in range(8)]
        assert (edits[0].status_code, edits[-1].status_code) == (200, 429)
        assert (edits[-1].json()["global"], edits[-1].headers["x-ratelimit-scope"]) == (False, "user")

    async def test_a_script_can_slow_the_whole_bot_down(self, bot: Bot) -> None:
        await bot.sim.fault("rate_limited", channel=bot.name, error="global", retry_after_s=1.5)
        answer = await call(bot, "POST", f"/channels/{await bot.chat_with('alice')}/messages", content="a")
        assert (answer.status_code, answer.json()["global"], answer.headers["x-ratelimit-global"]) == (
            429,
            True,
            "true",
        )
