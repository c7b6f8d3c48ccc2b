"""Mattermost's socket against the simulator, over real sockets: resume, gaps, and reading back."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio

from adapters.base import ChannelContext
from adapters.connectors import Backoff, ConnectorStoppedError
from adapters.guard import way_out
from adapters.platform.mattermost import MattermostSocket
from adapters.registry import Outside
from domain.message import EventKind
from simulator.client import SimulatorClient
from tests.adapters.connectors.support import listeners, listening, order
from tests.simulator.support import Bot, Hook, new_bot


@pytest_asyncio.fixture(loop_scope="session")
async def bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "mattermost", echo_own=False)


def socket(bot: Bot) -> MattermostSocket:
    return MattermostSocket(Outside(bot.http, bot.sim.origin), Backoff(0.01, 0.05))


async def channel(bot: Bot) -> ChannelContext:
    headers = {"Authorization": f"Bearer {bot.token}"}
    me = (await bot.http.get(f"{bot.sim.origin}/api/v4/users/me", headers=headers)).json()
    return ChannelContext("c", bot.credentials, identity={"id": me["id"], "username": me["username"]})


class TestListening:
    async def test_direct_chats_edits_deletions_and_reactions(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, socket(bot), await channel(bot)) as ear:
            await listeners(sim, bot, 1)
            said = await sim.say(bot.name, "alice", "hello")
            for kind, text in (("edit", "hello!"), ("react", "thumbsup"), ("delete", "")):
                await sim.say(bot.name, "alice", text, kind=kind, target=said["message_id"])
            events = await ear.until(4)
        kinds = [EventKind.MESSAGE, EventKind.EDIT, EventKind.REACTION, EventKind.DELETE]
        assert [event.kind for event in events] == kinds
        assert (events[0].text, events[0].ignored, events[0].is_group) == ("hello", None, False)
        assert events[0].sender.username == "alice"
        assert {event.target_message_id for event in events[1:]} == {said["message_id"]}

    async def test_in_channels_mentions_and_threads(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, socket(bot), await channel(bot)) as ear:
            await listeners(sim, bot, 1)
            asked = await sim.say(bot.name, "alice", "open today?", chat="general", mention=True)
            await sim.say(bot.name, "alice", "and tomorrow?", chat="general", thread=asked["message_id"])
            await sim.say(bot.name, "alice", "lunch?", chat="general")
            first, second, third = await ear.until(3)
        assert (first.text, first.ignored, first.reply_to.thread) == ("open today?", None, asked["message_id"])
        assert second.session_key == first.session_key
        assert second.metadata == {"only_in_known_session": "true"}
        assert third.ignored == "not addressed to us"

    async def test_a_post_has_one_key_by_socket_and_by_webhook(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, socket(bot), await channel(bot)) as ear:
            await listeners(sim, bot, 1)
            said = await sim.say(bot.name, "alice", "hi", chat="general", mention=True)
            (event,) = await ear.until(1)
            (request,) = await bot.hook.wait(1)
        assert event.dedup_key == f"p:{said['message_id']}" == f"p:{request.json['post_id']}"


class TestGoingOn:
    @pytest.mark.parametrize("what", ["drop", "invalidate"])
    async def test_nothing_is_lost_between_two_connections(self, sim: SimulatorClient, bot: Bot, what: str) -> None:
        async with listening(bot, socket(bot), await channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await ear.until_texts("one")
            await order(bot, what)
            await sim.say(bot.name, "alice", "two")
            await sim.say(bot.name, "bob", "new here")
            await ear.until_texts("one", "two", "new here")
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "three")
            await ear.until_texts("three")
        assert len({event.dedup_key for event in ear.events}) == 4

    async def test_a_missing_number_is_noticed_and_read_back(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, socket(bot), await channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await ear.until_texts("one")
            await order(bot, "skip")
            await sim.say(bot.name, "alice", "two")
            await sim.say(bot.name, "alice", "three")
            await ear.until_texts("one", "two", "three")
        assert len({event.dedup_key for event in ear.events}) == 3

    async def test_another_process_goes_on_where_the_first_stopped(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, socket(bot), await channel(bot)) as first:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await first.until_texts("one")
        await listeners(sim, bot, 0)
        await sim.say(bot.name, "alice", "two")
        async with listening(bot, socket(bot), await channel(bot), first.position) as second:
            await second.until_texts("two")
        assert second.texts == ["two"]

    async def test_a_history_that_cannot_be_read_is_read_again(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, socket(bot), await channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await ear.until_texts("one")
            await sim.fault("server_error", channel=bot.name, method="channel_posts", times=2)
            await order(bot, "invalidate")
            await sim.say(bot.name, "alice", "two")
            await ear.until_texts("one", "two")

    async def test_what_was_said_too_long_ago_is_not_answered(self, sim: SimulatorClient, bot: Bot) -> None:
        old = time.time() - 3600
        async with listening(bot, socket(bot), await channel(bot)) as first:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one", at=old - 60)
            await first.until_texts("one")
        await listeners(sim, bot, 0)
        await sim.say(bot.name, "alice", "old", at=old)
        position = dict(first.position) | {"connection": "gone"}
        async with listening(bot, socket(bot), await channel(bot), position) as second:
            (event,) = await second.until(1)
        assert (event.text, event.ignored, event.late) == ("old", None, True)

    async def test_a_wrong_token_or_address_ends_it(self, bot: Bot) -> None:
        wrong = ChannelContext("c", {**bot.credentials, "bot_token": "wrong"})
        async with listening(bot, socket(bot), wrong) as ear:
            assert isinstance(await ear.until_ended(), ConnectorStoppedError)
        inside = ChannelContext("c", {**bot.credentials, "site_url": "http://169.254.169.254"})
        async with listening(bot, MattermostSocket(Outside(bot.http)), inside) as ear:
            assert isinstance(await ear.until_ended(), ConnectorStoppedError)

    @pytest.mark.parametrize("allowed", [True, False])
    async def test_a_name_that_leads_inside_is_connected_to_only_if_it_was_named(
        self, sim: SimulatorClient, bot: Bot, allowed: bool
    ) -> None:
        async def inside(_host: str, _port: int) -> list[str]:
            return ["127.0.0.1"]

        there = f"chat.example.org:{urlsplit(bot.sim.origin).port}"
        way = way_out([there] if allowed else [], resolver=inside)
        named = ChannelContext("c", {**bot.credentials, "site_url": f"http://{there}"})
        async with listening(bot, MattermostSocket(Outside(bot.http, tenants=way)), named) as ear:
            if allowed:
                await listeners(sim, bot, 1)
            else:
                assert isinstance(await ear.until_ended(), ConnectorStoppedError)
        await way.http.aclose()
