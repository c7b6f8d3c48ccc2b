"""A bot whose servers are split over several connections: everything is heard once, whatever happens to one of them."""

from __future__ import annotations

import itertools
import time

import httpx2
import pytest
import pytest_asyncio

from adapters.base import ChannelContext
from adapters.connectors import Backoff, ConnectorStoppedError
from adapters.platform.discord import DiscordGateway
from adapters.platform.discord.sessions import Session, shard_of
from adapters.registry import Outside
from simulator import names
from simulator.client import SimulatorClient
from tests.adapters.connectors.support import listeners, listening, order
from tests.simulator.support import Bot, Hook, new_bot


@pytest_asyncio.fixture(loop_scope="session")
async def bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "discord", heartbeat_s=0.2, shards=2, identify_every_s=0.05)


def gateway(bot: Bot, first_s: float = 0.01) -> DiscordGateway:
    return DiscordGateway(Outside(bot.http, bot.sim.origin), Backoff(first_s, 0.05))


def channel(bot: Bot, **configuration: object) -> ChannelContext:
    return ChannelContext("c", bot.credentials, {"groups": "all"} | configuration)


def room(bot: Bot, shard: int, shards: int = 2) -> str:
    """Return a channel of a server that this connection hears of."""
    servers = (f"server-{number}" for number in itertools.count())
    return next(f"{one}/help" for one in servers if shard_of(names.discord_id("guild", bot.name, one), shards) == shard)


class TestTwo:
    async def test_servers_of_both_and_direct_chats_are_heard_once(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 2)
            for said, chat in (("zero", room(bot, 0)), ("one", room(bot, 1)), ("direct", None)):
                await sim.say(bot.name, "alice", said, chat=chat)
            await ear.until_texts("zero", "one", "direct")
        assert sorted(ear.texts) == ["direct", "one", "zero"]

    async def test_it_stands_when_both_do(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 2)
            await sim.say(bot.name, "alice", "hello")
            await ear.until_texts("hello")
        stood = [heard for heard in ear.heard if not heard.events]
        assert [heard.whole for heard in stood] == [False, True]
        assert {heard.trouble for heard in ear.heard} == {None}

    @pytest.mark.parametrize("what", ["drop 1", "reconnect 1", "4009 1"])
    async def test_one_is_lost_and_nothing_with_it(self, sim: SimulatorClient, bot: Bot, what: str) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 2)
            for said, shard in (("a", 0), ("b", 1)):
                await sim.say(bot.name, "alice", said, chat=room(bot, shard))
            await ear.until_texts("a", "b")
            await order(bot, what)
            for said, shard in (("c", 0), ("d", 1)):
                await sim.say(bot.name, "alice", said, chat=room(bot, shard))
            await ear.until_texts("a", "b", "c", "d")
            await listeners(sim, bot, 2)
            await sim.say(bot.name, "alice", "e", chat=room(bot, 1))
            await ear.until_texts("e")
        assert len({event.dedup_key for event in ear.events}) == 5
        troubles = [heard.trouble for heard in ear.heard if heard.trouble]
        assert len(troubles) == 1
        assert "connection 2 of 2" in troubles[0]

    async def test_another_process_resumes_both(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot)) as first:
            await listeners(sim, bot, 2)
            for said, shard in (("a", 0), ("b", 1)):
                await sim.say(bot.name, "alice", said, chat=room(bot, shard))
            await first.until_texts("a", "b")
        await listeners(sim, bot, 0)
        # From here on a new session would be refused.
        await bot.register(heartbeat_s=0.2, shards=2, identify_every_s=1000)
        for said, shard in (("c", 0), ("d", 1)):
            await sim.say(bot.name, "alice", said, chat=room(bot, shard))
        async with listening(bot, gateway(bot), channel(bot), first.position) as second:
            await second.until_texts("c", "d")
        assert sorted(second.texts) == ["c", "d"]
        assert {heard.trouble for heard in second.heard} == {None}


class TestNewSessions:
    async def test_wait_for_each_other(self, sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> None:
        bot = await new_bot(sim, http, hook, "discord", shards=4, identify_every_s=0.05)
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 4)
            await sim.say(bot.name, "alice", "hello")
            await ear.until_texts("hello")
        assert {heard.trouble for heard in ear.heard} == {None}

    async def test_of_different_keys_do_not(self, sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> None:
        bot = await new_bot(sim, http, hook, "discord", shards=3, max_concurrency=3, identify_every_s=600)
        # With this pause, a second session of one key would begin after nine minutes.
        async with listening(bot, gateway(bot, first_s=100.0), channel(bot)):
            await listeners(sim, bot, 3)


class TestNumber:
    async def test_more_connections_read_back_what_one_missed(
        self, sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook
    ) -> None:
        bot = await new_bot(sim, http, hook, "discord")
        async with listening(bot, gateway(bot), channel(bot)) as one:
            await listeners(sim, bot, 1)
            for said, shard in (("a", 0), ("b", 1)):
                await sim.say(bot.name, "alice", said, chat=room(bot, shard), at=time.time() - 60)
            await one.until_texts("a", "b")
        await listeners(sim, bot, 0)
        for said, shard in (("c", 0), ("d", 1)):
            await sim.say(bot.name, "alice", said, chat=room(bot, shard))
        async with listening(bot, gateway(bot), channel(bot, shards=2), one.position) as two:
            await two.until_texts("c", "d")
            await listeners(sim, bot, 2)
        assert sorted(two.texts) == ["c", "d"]

    async def test_grows_when_the_bot_is_in_too_many_servers(
        self, sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook
    ) -> None:
        bot = await new_bot(sim, http, hook, "discord")
        async with listening(bot, gateway(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "a", chat=room(bot, 1))
            await ear.until_texts("a")
            await bot.register(shards=2)
            await order(bot, "invalidate")
            await listeners(sim, bot, 2)
            await sim.say(bot.name, "alice", "b", chat=room(bot, 1))
            await ear.until_texts("a", "b")

    async def test_a_number_of_ours_that_is_too_small_is_said(self, bot: Bot) -> None:
        async with listening(bot, gateway(bot), channel(bot, shards=1)) as ear:
            ended = await ear.until_ended()
        assert isinstance(ended, ConnectorStoppedError)
        assert "configuration.shards" in ended.message


class TestPosition:
    def test_a_place_belongs_to_the_connection_of_its_server(self) -> None:
        server = str(5 << 22)
        position = {
            "shards": "2",
            "0:session": "x",
            "1:session": "y",
            "1:seq": "7",
            "at:c1": f"9:{server}",
            "at:c2": "8:",
        }
        zero, one = (Session.of(position, number, 2) for number in (0, 1))
        assert (zero.id, zero.places) == ("x", {"c2": "8:"})
        assert (one.id, one.seq, one.places) == ("y", 7, {"c1": f"9:{server}"})
        assert zero.position() | one.position() == position
        assert (Session.of(position, 2, 3).id, Session.of(position, 2, 3).places) == ("", {"c1": f"9:{server}"})
