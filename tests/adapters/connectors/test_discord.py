"""Discord's gateway against the simulator, over real sockets: every way in which a connection ends and goes on."""

from __future__ import annotations

import time

import httpx2
import pytest
import pytest_asyncio

from adapters.base import ChannelContext
from adapters.connectors import Backoff, Connectors, ConnectorStoppedError, socket_kinds
from adapters.platform.discord import DiscordGateway
from adapters.registry import Outside
from domain.message import EventKind
from simulator.client import SimulatorClient
from tests.adapters.connectors.support import listeners, listening, order
from tests.simulator.support import Bot, Hook, new_bot


@pytest_asyncio.fixture(loop_scope="session")
async def bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "discord", heartbeat_s=0.2)


def gateway(bot: Bot) -> DiscordGateway:
    return DiscordGateway(Outside(bot.http, bot.sim.origin), Backoff(0.01, 0.05))


def channel(bot: Bot, **configuration: object) -> ChannelContext:
    return ChannelContext("c", bot.credentials, configuration)


class TestRegistry:
    async def test_platforms_with_a_socket_have_one(self, http: httpx2.AsyncClient) -> None:
        assert socket_kinds() == ["discord", "mattermost", "slack:socket_mode", "telegram:polling"]
        assert isinstance(Connectors(http).make("discord"), DiscordGateway)


class TestListening:
    async def test_messages_edits_deletions_and_reactions(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            said = await sim.say(bot.name, "alice", "hello")
            for kind, text in (("edit", "hello!"), ("react", "👍"), ("delete", "")):
                await sim.say(bot.name, "alice", text, kind=kind, target=said["message_id"])
            events = await ear.until(4)
        assert [event.kind for event in events] == [
            EventKind.MESSAGE,
            EventKind.EDIT,
            EventKind.REACTION,
            EventKind.DELETE,
        ]
        assert [event.text for event in events] == ["hello", "hello!", "👍", ""]
        assert (events[0].message_id, events[0].ignored, events[0].is_group) == (said["message_id"], None, False)
        assert {event.target_message_id for event in events[1:]} == {said["message_id"]}

    async def test_in_a_server_only_who_speaks_to_us(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "lunch?", chat="general")
            await sim.say(bot.name, "alice", "open today?", chat="general", mention=True)
            events = await ear.until(2)
        assert [(event.text, event.ignored) for event in events] == [
            ("lunch?", "not addressed to us"),
            ("open today?", None),
        ]

    async def test_our_own_messages_are_known_without_a_check(self, sim: SimulatorClient, bot: Bot) -> None:
        chat = await bot.chat_with("alice")
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            headers = {"Authorization": f"Bot {bot.token}"}
            await bot.http.post(
                f"{sim.origin}/api/v10/channels/{chat}/messages", headers=headers, json={"content": "hi"}
            )
            (event,) = await ear.until(1)
        assert (event.ignored, event.sender.is_self) == ("our own message", True)


class TestGoingOn:
    @pytest.mark.parametrize("what", ["drop", "reconnect", "4000", "4009", "invalidate"])
    async def test_nothing_is_lost_between_two_connections(self, sim: SimulatorClient, bot: Bot, what: str) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await ear.until_texts("one")
            await order(bot, what)
            await sim.say(bot.name, "alice", "two", chat=ear.events[0].reply_to.chat)
            await ear.until_texts("one", "two")
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "three")
            await ear.until_texts("one", "two", "three")
        assert len({event.dedup_key for event in ear.events}) == 3

    async def test_a_heart_that_nobody_answers_ends_the_connection(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await order(bot, "mute")
            await listeners(sim, bot, 0)
            await order(bot, "talk")
            await sim.say(bot.name, "alice", "still there?", kind="raw", payload={"t": "NOTHING", "d": {}})
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "yes")
            await ear.until_texts("yes")

    async def test_another_process_resumes_where_the_first_stopped(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as first:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await first.until_texts("one")
        await listeners(sim, bot, 0)
        await sim.say(bot.name, "alice", "two", chat=first.events[0].reply_to.chat, kind="message", at=time.time())
        async with listening(bot, gateway(bot), channel(bot), first.position) as second:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "three")
            await second.until_texts("three")
        assert "one" not in second.texts

    async def test_what_was_said_too_long_ago_is_not_answered(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as first:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one", at=time.time() - 7200)
            await first.until_texts("one")
            await order(bot, "mute")
            await sim.say(bot.name, "alice", "old", at=time.time() - 3600)
            await first.until_texts("old")
        position = {name: value for name, value in first.position.items() if name.startswith("at:")}
        ((place, mark),) = position.items()
        one = first.events[0].message_id
        async with listening(bot, gateway(bot), channel(bot), {place: f"{one}:{mark.partition(':')[2]}"}) as second:
            (event,) = await second.until(1)
        assert (event.text, event.ignored, event.late) == ("old", None, True)

    @pytest.mark.parametrize("code", ["4004", "4014"])
    async def test_a_final_refusal_is_told_in_words(self, sim: SimulatorClient, bot: Bot, code: str) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await order(bot, code)
            ended = await ear.until_ended()
        assert isinstance(ended, ConnectorStoppedError)
        assert "developer portal" in ended.message

    async def test_a_wrong_token_ends_it(self, bot: Bot) -> None:
        wrong = ChannelContext("c", {**bot.credentials, "bot_token": "wrong"})
        async with listening(bot, gateway(bot), wrong) as ear:
            assert isinstance(await ear.until_ended(), ConnectorStoppedError)
