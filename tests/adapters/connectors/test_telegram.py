"""Telegram's polling against the simulator, over real sockets: what it asks, keeps, and gives up at."""

from __future__ import annotations

import time

import httpx2
import pytest_asyncio

from adapters.base import ChannelContext
from adapters.connectors import Backoff, ConnectorStoppedError
from adapters.platform.telegram import TelegramPolling
from adapters.registry import Outside
from domain.message import EventKind
from simulator.client import SimulatorClient
from tests.adapters.connectors.support import listeners, listening
from tests.adapters.support import Reply, fake_server
from tests.simulator.support import Bot, Hook, new_bot


@pytest_asyncio.fixture(loop_scope="session")
async def bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "telegram")


def polling(bot: Bot) -> TelegramPolling:
    return TelegramPolling(Outside(bot.http, bot.sim.origin), Backoff(0.01, 0.05))


def channel(bot: Bot, **configuration: object) -> ChannelContext:
    return ChannelContext("c", bot.credentials, configuration)


class TestListening:
    async def test_takes_the_webhook_away_and_hears_every_kind(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, polling(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            said = await sim.say(bot.name, "alice", "hello")
            for kind, text in (("edit", "hello!"), ("react", "👍")):
                await sim.say(bot.name, "alice", text, kind=kind, target=said["message_id"])
            events = await ear.until(3)
        assert [event.kind for event in events] == [EventKind.MESSAGE, EventKind.EDIT, EventKind.REACTION]
        assert (await bot.call("getWebhookInfo"))["result"]["url"] == ""

    async def test_a_pressed_button_stops_spinning(self, sim: SimulatorClient, bot: Bot) -> None:
        chat = await bot.chat_with("alice")
        keys = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
        async with listening(bot, polling(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            sent = (await bot.call("sendMessage", chat_id=chat, text="Sure?", reply_markup=keys))["result"]
            await sim.say(bot.name, "alice", "y", kind="press", target=str(sent["message_id"]))
            [event] = await ear.until(1)
            await sim.calls(channel=bot.name, method="answerCallbackQuery", timeout_s=5)
        assert (event.kind, event.text) == (EventKind.ACTION, "Yes")


def update(number: int) -> dict[str, object]:
    about = {"message_id": 1, "date": int(time.time()), "chat": {"id": 5, "type": "private"}, "text": "hi"}
    return {"update_id": number, "message": about | {"from": {"id": 5, "is_bot": False, "first_name": "Al"}}}


class TestNumbersThatBeginAnew:
    async def test_a_lower_one_is_followed_and_not_asked_past(self, http: httpx2.AsyncClient) -> None:
        # After a week of silence Telegram goes on with any number; an offset that is far ahead then gets all that waits.
        async with fake_server() as server:
            pages = [Reply(200, {"ok": True, "result": [update(number)]}) for number in (900_000_000, 5, 6)]
            server.will(*pages)
            run = TelegramPolling(Outside(http, server.origin)).run(ChannelContext("c", {"bot_token": "1:x"}), {})
            heard = [await anext(run) for _ in range(4)]
        assert [one.position.get("offset") for one in heard] == [None, "900000001", "6", "7"]
        assert [one.json.get("offset") for one in server.received[:3]] == [None, 900_000_001, 6]


class TestGoingOn:
    async def test_another_process_goes_on_where_the_first_stopped(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, polling(bot), channel(bot)) as first:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await first.until_texts("one")
        await listeners(sim, bot, 0)
        await sim.say(bot.name, "alice", "two")
        async with listening(bot, polling(bot), channel(bot), first.position) as second:
            await second.until_texts("two")
        assert second.texts == ["two"]

    async def test_what_was_not_stored_is_told_again(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, polling(bot), channel(bot)) as first:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await first.until_texts("one")
        # The offset of "one" is confirmed by the question after it; a position from before finds it gone, or again.
        async with listening(bot, polling(bot), channel(bot), {}) as second:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "two")
            await second.until_texts("two")
        keys = [event.dedup_key for event in first.events]
        assert set(keys) >= {event.dedup_key for event in second.events if event.text == "one"}

    async def test_what_waited_too_long_is_marked(self, sim: SimulatorClient, bot: Bot) -> None:
        await bot.call("deleteWebhook")
        await sim.say(bot.name, "alice", "one")
        async with listening(bot, polling(bot), channel(bot, catch_up_s=-1)) as ear:
            await ear.until(1)
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "two")
            await ear.until_texts("two")
        assert [(event.ignored, event.late) for event in ear.events] == [(None, True), (None, False)]

    async def test_a_failing_server_is_asked_again(self, sim: SimulatorClient, bot: Bot) -> None:
        await bot.call("deleteWebhook")
        await sim.fault("server_error", channel=bot.name, method="getUpdates", times=2)
        async with listening(bot, polling(bot), channel(bot)) as ear:
            await sim.say(bot.name, "alice", "one")
            await ear.until_texts("one")
        assert [bool(heard.trouble) for heard in ear.heard[:3]] == [True, True, False]


class TestRefused:
    async def test_a_wrong_token_ends_it_in_words(self, bot: Bot) -> None:
        wrong = ChannelContext("c", bot.credentials | {"bot_token": "1:wrong"})
        async with listening(bot, polling(bot), wrong) as ear:
            ended = await ear.until_ended()
        assert isinstance(ended, ConnectorStoppedError)
        assert "@BotFather" in ended.message

    async def test_another_poller_is_trouble_and_no_end(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, polling(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await bot.call("getUpdates", timeout=0)
            await sim.say(bot.name, "alice", "one")
            await ear.until_texts("one")
        assert any("polls this bot" in (heard.trouble or "") for heard in ear.heard)
