"""The Mattermost server: answers, refusals, its memory of nonces, and what it posts to us, over a real socket."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from simulator.client import SimulatorClient
from tests.simulator.support import Bot, Hook, failure, new_bot


@pytest.fixture
async def bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "mattermost", time_factor=600, echo_own=False)


async def call(bot: Bot, method: str, path: str, token: str | None = None, **body: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token or bot.token}"}
    url = f"{bot.sim.origin}/api/v4{path}"
    return await bot.http.request(method, url, headers=headers, json=body or None)


class TestWebhook:
    async def test_a_public_post_fires_it_with_the_token_in_the_body(self, bot: Bot) -> None:
        said = await bot.sim.say(bot.name, "alice", "hello")
        (request,) = await bot.hook.wait(1)
        assert request.json["token"] == bot.credentials["webhook_token"]
        assert (request.json["text"], request.json["post_id"]) == ("hello", said["message_id"])
        assert request.json["timestamp"] > 10**12

    async def test_it_is_never_repeated(self, bot: Bot) -> None:
        bot.hook.answers.append(failure(500))
        said = await bot.sim.say(bot.name, "alice", "lost", wait=True)
        (attempt,) = await bot.sim.deliveries(bot.name, message_id=said["message_id"], timeout_s=5)
        assert (attempt["status"], attempt["outcome"]) == (500, "dropped")

    async def test_private_channels_direct_chats_and_edits_do_not_fire_it(self, bot: Bot) -> None:
        await bot.sim.say(bot.name, "alice", "x", chat="secret", chat_kind="group")
        said = await bot.sim.say(bot.name, "alice", "public")
        await bot.sim.say(bot.name, "alice", "edit", chat="town-square", kind="edit", target=said["message_id"])
        await bot.sim.say(bot.name, "alice", "last")
        assert [request.json["text"] for request in await bot.hook.wait(2)] == ["public", "last"]

    async def test_our_own_posts_fire_it_too(self, bot: Bot) -> None:
        await bot.register(echo_own=True)
        said = await bot.sim.say(bot.name, "alice", "hello")
        sent = (await call(bot, "POST", "/posts", channel_id=said["chat"], message="hi")).json()
        requests = await bot.hook.wait(2)
        assert (requests[1].json["post_id"], requests[1].json["user_id"]) == (sent["id"], sent["user_id"])

    async def test_a_command_is_a_form_with_its_own_token(self, bot: Bot) -> None:
        await bot.sim.say(bot.name, "alice", "/ask open today?", kind="command")
        (request,) = await bot.hook.wait(1)
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        assert (form["command"], form["text"]) == ("/ask", "open today?")
        assert request.headers["authorization"] == f"Token {form['token']}" == f"Token c-{bot.secret}"


class TestPosts:
    async def test_a_repeated_nonce_gets_the_first_post(self, bot: Bot) -> None:
        chat = (await bot.sim.say(bot.name, "alice", "hello"))["chat"]
        sends = [
            await call(bot, "POST", "/posts", channel_id=chat, message=text, pending_post_id="n-1", props={"n": 1})
            for text in ("one", "two")
        ]
        assert [sent.status_code for sent in sends] == [201, 201]
        assert len({sent.json()["id"] for sent in sends}) == 1
        page = (await call(bot, "GET", f"/channels/{chat}/posts?per_page=1")).json()
        assert [page["posts"][one]["message"] for one in page["order"]] == ["one"]
        assert page["posts"][page["order"][0]]["props"]["n"] == 1

    async def test_pages_after_a_post(self, bot: Bot) -> None:
        said = [await bot.sim.say(bot.name, "alice", f"m{number}") for number in range(5)]
        path = f"/channels/{said[0]['chat']}/posts?per_page=2&after={said[0]['message_id']}"
        pages = [(await call(bot, "GET", f"{path}&page={number}")).json() for number in range(3)]
        texts = [[page["posts"][one]["message"] for one in page["order"]] for page in pages]
        assert texts == [["m2", "m1"], ["m4", "m3"], []]

    async def test_a_thread_needs_its_root(self, bot: Bot) -> None:
        said = await bot.sim.say(bot.name, "alice", "root")
        reply = (
            await call(bot, "POST", "/posts", channel_id=said["chat"], message="r", root_id=said["message_id"])
        ).json()
        assert reply["root_id"] == said["message_id"]
        refused = await call(bot, "POST", "/posts", channel_id=said["chat"], message="r", root_id=reply["id"])
        assert (refused.status_code, refused.json()["id"]) == (400, "api.post.create_post.root_id.app_error")

    async def test_refusals(self, bot: Bot) -> None:
        chat = (await bot.sim.say(bot.name, "alice", "hello"))["chat"]
        long = await call(bot, "POST", "/posts", channel_id=chat, message="x" * 16_384)
        assert long.json()["id"] == "model.post.is_valid.message_length.app_error"
        assert (await call(bot, "GET", "/users/me", token="wrong")).status_code == 401
        assert (await call(bot, "POST", "/posts", channel_id="nowhere", message="x")).status_code == 404

    async def test_the_rate_limit_answers_in_plain_text(self, bot: Bot) -> None:
        chat = (await bot.sim.say(bot.name, "alice", "hello"))["chat"]
        await bot.sim.fault("rate_limited", channel=bot.name, retry_after_s=7)
        slowed = await call(bot, "POST", "/posts", channel_id=chat, message="x")
        assert (slowed.status_code, slowed.text, slowed.headers["retry-after"]) == (429, "limit exceeded", "7")

    async def test_edit_and_delete(self, bot: Bot) -> None:
        chat = (await bot.sim.say(bot.name, "alice", "hello"))["chat"]
        sent = (await call(bot, "POST", "/posts", channel_id=chat, message="hi")).json()
        edited = (await call(bot, "PUT", f"/posts/{sent['id']}/patch", message="hi!")).json()
        assert (edited["message"], edited["edit_at"] > 0) == ("hi!", True)
        assert (await call(bot, "DELETE", f"/posts/{sent['id']}")).json() == {"status": "OK"}
        assert (await call(bot, "GET", f"/posts/{sent['id']}")).status_code == 404
