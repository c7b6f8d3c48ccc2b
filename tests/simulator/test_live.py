"""What the page lives on: the stream of what is seen and what happened, and what goes wrong on the way to the bot."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from simulator.client import SimulatorClient, SimulatorError
from tests.simulator.support import Bot, Hook, failure, new_bot


class Watch:
    """A reader of the stream."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self, name: str, wanted: Callable[[Any], object] | None = None) -> Any:
        """Return the next event of this name for which `wanted` is true."""
        kind = ""
        async for line in self._lines:
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == name:
                told = json.loads(line.removeprefix("data: "))
                if wanted is None or wanted(told):
                    return told
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def watching(bot: Bot, person: str = "alice") -> AsyncGenerator[Watch]:
    query = {"channel": bot.name, "as": person}
    async with bot.http.stream("GET", f"{bot.sim.origin}/_sim/live", params=query) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Watch(answer)


def texts(screen: dict[str, Any]) -> list[str]:
    return [message["text"] for chat in screen["chats"] for message in chat["messages"]]


def shows(*wanted: str) -> Callable[[dict[str, Any]], bool]:
    return lambda screen: texts(screen) == list(wanted)


class TestStream:
    async def test_tells_what_is_seen_as_it_changes(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        async with watching(telegram) as watch:
            assert texts(await watch.next("screen")) == []
            sent = (await telegram.call("sendMessage", chat_id=chat, text="one"))["result"]["message_id"]
            screen = await watch.next("screen", texts)
            assert texts(screen) == ["one"]
            await telegram.call("editMessageText", chat_id=chat, message_id=sent, text="two")
            screen = await watch.next("screen", shows("two"))
            assert screen["chats"][0]["messages"][0]["edited"]
            await telegram.call("deleteMessage", chat_id=chat, message_id=sent)
            assert texts(await watch.next("screen", shows())) == []

    async def test_a_person_sees_only_their_own(self, telegram: Bot) -> None:
        async with watching(telegram) as watch:
            await telegram.sim.say(telegram.name, "bob", "secret")
            await telegram.sim.say(telegram.name, "alice", "mine")
            assert texts(await watch.next("screen", texts)) == ["mine"]

    async def test_lists_what_was_called_and_told_with_faults(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        await telegram.sim.fault("server_error", channel=telegram.name)
        telegram.hook.answers.append(failure(503))
        async with watching(telegram) as watch:
            world = await watch.next("world")
            assert [fault["script"]["kind"] for fault in world["faults"]] == ["server_error"]
            await telegram.raw("sendMessage", chat_id=chat, text="x")
            [called] = await watch.next("log")
            assert (called["way"], called["what"], called["status"]) == ("call", "sendMessage", 500)
            assert called["fault"] == "server_error"
            await telegram.sim.say(telegram.name, "alice", "hello")
            told, *_ = await watch.next("log")
            assert (told["way"], told["status"], told["outcome"]) == ("webhook", 503, "retrying")

    async def test_an_unknown_bot_is_refused(self, sim: SimulatorClient) -> None:
        with pytest.raises(SimulatorError, match="404"):
            await sim.get("live", channel="nobody", as_="alice")


class TestSigns:
    async def test_ticks_say_what_the_bot_has(self, sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> None:
        bot = await new_bot(sim, http, hook, "whatsapp", time_factor=600)
        hook.answers.append(failure(500))
        said = await sim.say(bot.name, "alice", "hello", wait=True)

        async def tick() -> str:
            return (await sim.phone(bot.name, "alice"))["chats"][0]["messages"][0]["tick"]

        assert await tick() == "sent"
        await sim.deliveries(bot.name, outcome="acked", timeout_s=30)
        assert await tick() == "delivered"
        url = f"{sim.origin}/v23.0/{bot.credentials['phone_number_id']}/messages"
        body = {"messaging_product": "whatsapp", "status": "read", "message_id": said["message_id"]}
        await http.post(url, json=body, headers={"Authorization": f"Bearer {bot.token}"})
        assert await tick() == "read"

    async def test_typing_ends_with_the_message(
        self, sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook
    ) -> None:
        bot = await new_bot(sim, http, hook, "discord")
        chat = await bot.chat_with("alice")
        url, headers = f"{sim.origin}/api/v10/channels/{chat}", {"Authorization": f"Bot {bot.token}"}
        before = (await sim.phone(bot.name, "alice"))["chats"][0]["typing_until"]
        await http.post(f"{url}/typing", headers=headers)
        during = (await sim.phone(bot.name, "alice"))["chats"][0]["typing_until"]
        await http.post(f"{url}/messages", headers=headers, json={"content": "done"})
        after = (await sim.phone(bot.name, "alice"))["chats"][0]["typing_until"]
        assert (before, bool(during), after) == (None, True, None)


class TestMischief:
    async def test_what_comes_twice_is_the_same_twice(self, telegram: Bot) -> None:
        await telegram.sim.fault("duplicate", channel=telegram.name)
        await telegram.sim.say(telegram.name, "alice", "one", wait=True)
        await telegram.sim.say(telegram.name, "alice", "two", wait=True)
        ids = [request.json["update_id"] for request in await telegram.hook.wait(3)]
        assert ids[0] == ids[1] != ids[2]

    async def test_the_next_two_change_places(self, telegram: Bot) -> None:
        await telegram.sim.fault("reorder", channel=telegram.name)
        for word in ("one", "two", "three"):
            await telegram.sim.say(telegram.name, "alice", word)
        said = [request.json["message"]["text"] for request in await telegram.hook.wait(3)]
        assert said == ["two", "one", "three"]

    async def test_the_end_of_the_script_lets_go(self, telegram: Bot) -> None:
        fault = await telegram.sim.fault("reorder", channel=telegram.name)
        await telegram.sim.say(telegram.name, "alice", "one")
        await telegram.http.delete(f"{telegram.sim.origin}/_sim/faults/{fault}")
        [request] = await telegram.hook.wait(1)
        assert request.json["message"]["text"] == "one"

    async def test_by_sockets_too(self, sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> None:
        bot = await new_bot(sim, http, hook, "mattermost")
        async with watching(bot) as watch:
            await watch.next("screen")
            await sim.fault("reorder", channel=bot.name)
            await sim.fault("duplicate", channel=bot.name, skip=1)
            for word in ("one", "two", "three"):
                await sim.say(bot.name, "alice", word)
            said: list[str] = []
            while len(said) < 4:
                entries = await watch.next("log")
                said += [json.loads(one["detail"]["post"])["message"] for one in entries if one["way"] == "socket"]
        assert said == ["two", "one", "three", "three"]

    async def test_a_bots_calls_are_left_alone(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        await telegram.sim.fault("duplicate", channel=telegram.name)
        assert (await telegram.raw("sendMessage", chat_id=chat, text="x")).status_code == 200
        assert len(await telegram.sim.received(telegram.name)) == 1
        assert (await telegram.sim.get("faults"))["faults"][-1]["hits"] == 0
