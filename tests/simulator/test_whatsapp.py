"""The Cloud API: answers, refusals, receipts and signed webhooks, over a real socket."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import httpx2
import pytest

from simulator.client import SimulatorClient
from tests.simulator.support import Bot, Hook, failure, new_bot


@pytest.fixture
async def bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "whatsapp", time_factor=600)


async def post(bot: Bot, path: str = "/messages", token: str | None = None, **body: Any) -> httpx2.Response:
    url = f"{bot.sim.origin}/v23.0/{bot.credentials['phone_number_id']}{path}"
    headers = {"Authorization": f"Bearer {bot.token if token is None else token}"}
    return await bot.http.post(url, json=body, headers=headers)


def text(to: str, body: str = "hi", **more: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": body}, **more}


def value(body: dict[str, Any]) -> dict[str, Any]:
    return body["entry"][0]["changes"][0]["value"]


class TestWebhook:
    async def test_a_text_is_signed_over_its_bytes(self, bot: Bot) -> None:
        said = await bot.sim.say(bot.name, "alice", "grün")
        (request,) = await bot.hook.wait(1)
        proof = hmac.new(bot.credentials["app_secret"].encode(), request.body, hashlib.sha256).hexdigest()
        assert request.headers["x-hub-signature-256"] == f"sha256={proof}"
        told = value(request.json)
        assert told["metadata"]["phone_number_id"] == bot.credentials["phone_number_id"]
        assert told["messages"][0]["text"] == {"body": "grün"}
        assert (told["messages"][0]["id"], told["messages"][0]["from"]) == (said["message_id"], said["user_id"])

    async def test_what_was_refused_is_repeated_as_it_was(self, bot: Bot) -> None:
        bot.hook.answers.extend([failure(500), failure(503)])
        await bot.sim.say(bot.name, "alice", "hello")
        requests = await bot.hook.wait(3)
        assert len({request.body for request in requests}) == 1

    async def test_edits_deletions_reactions_and_presses_have_ids_of_their_own(self, bot: Bot) -> None:
        said = await bot.sim.say(bot.name, "alice", "helo", wait=True)
        for kind in ("edit", "delete", "react", "press"):
            if kind == "react":
                said = await bot.sim.say(bot.name, "alice", "again", wait=True)
            await bot.sim.say(bot.name, "alice", "x", kind=kind, target=said["message_id"], wait=True)
        messages = [value(request.json)["messages"][0] for request in await bot.hook.wait(6)]
        assert [message["type"] for message in messages] == [
            "text",
            "edit",
            "revoke",
            "text",
            "reaction",
            "interactive",
        ]
        assert len({message["id"] for message in messages}) == 6


class TestSend:
    async def test_receipts_follow_and_bring_the_nonce_back(self, bot: Bot) -> None:
        said = await bot.sim.say(bot.name, "alice", "hello", wait=True)
        sent = await post(bot, **text(said["user_id"], biz_opaque_callback_data="n-1"))
        requests = await bot.hook.wait(3)
        statuses = [value(request.json)["statuses"][0] for request in requests[1:]]
        assert [status["status"] for status in statuses] == ["sent", "delivered"]
        assert {status["id"] for status in statuses} == {sent.json()["messages"][0]["id"]}
        assert {status["biz_opaque_callback_data"] for status in statuses} == {"n-1"}

    @pytest.mark.parametrize("blocked", [True, False])
    async def test_what_was_accepted_may_fail_later(self, bot: Bot, blocked: bool) -> None:
        chat = await bot.chat_with("bob")
        if blocked:
            await bot.sim.post("people", {"channel": bot.name, "name": "bob", "blocked": True})
        assert (await post(bot, **text(chat))).status_code == 200
        (request,) = await bot.hook.wait(1)
        status = value(request.json)["statuses"][0]
        assert status["status"] == "failed"
        assert status["errors"][0]["code"] == (131026 if blocked else 131047)

    async def test_refusals_are_worded_as_the_graph_does(self, bot: Bot) -> None:
        said = await bot.sim.say(bot.name, "alice", "hello")
        person: str = said["user_id"]
        long = await post(bot, **text(person, "x" * 4097))
        assert (long.status_code, long.json()["error"]["code"]) == (400, 100)
        wrong = await post(bot, token="wrong", **text(person))
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, 190)
        nobody = await post(bot, **text("19999999999"))
        assert nobody.json()["error"]["code"] == 131026

    async def test_scripted_faults(self, bot: Bot) -> None:
        said = await bot.sim.say(bot.name, "alice", "hello")
        await bot.sim.fault("rate_limited", channel=bot.name, retry_after_s=7)
        slowed = await post(bot, **text(said["user_id"]))
        assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "7")
        await bot.sim.fault("error", channel=bot.name, error="window_closed")
        assert (await post(bot, **text(said["user_id"]))).json()["error"]["code"] == 131047


class TestNumber:
    async def test_its_own_address_is_tested_first(self, bot: Bot) -> None:
        wanted = {"override_callback_uri": f"{bot.hook.url}/own", "verify_token": "v"}
        assert (await post(bot, "", webhook_configuration=wanted)).json() == {"success": True}
        assert bot.hook.handshakes[0]["hub.verify_token"] == "v"
        nowhere = {"override_callback_uri": "http://127.0.0.1:1/x", "verify_token": "v"}
        refused = await post(bot, "", webhook_configuration=nowhere)
        assert refused.json()["error"]["code"] == 2200
