"""Real clients against real servers: connections torn away, an api that restarts, a Redis that loses everything."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from redis.asyncio import Redis

from realtime.client import ask, redis_client
from tests.clients.conftest import Api, Feed
from tests.clients.library import WAIT_S, Library, running_library
from tests.realtime import spark
from tests.realtime.cable import Json
from tests.realtime.hub_process import HubProcess, Tuning, running_hubs
from tests.realtime.stage import Stage
from tests.realtime.support import running_valkey

KINDS = ["rails", "core", "core-ext"]
SPARK: Json = {"channel": "SparkChannel", "params": {"name": "main"}}
TWO: Json = {"channel": "SparkChannel", "params": {"name": "second", "second": "third"}}
GREETING: Json = {"channel": "GreetingChannel", "params": {"name": "quiet"}}


@pytest.fixture(scope="module")
async def pair() -> AsyncGenerator[tuple[list[HubProcess], Redis]]:
    """Two hubs with the test's channels, and their Redis."""
    async with running_valkey() as valkey, running_hubs(valkey.url, *(Tuning(ping_interval_s=1),) * 2) as hubs:
        redis = redis_client(valkey.url)
        yield hubs, redis
        await redis.aclose()


@pytest.fixture
def stage(pair: tuple[list[HubProcess], Redis]) -> Stage:
    return Stage(*pair)


async def tear(library: Library, seconds: float) -> None:
    """Tear the connection away every 2 s, until shortly before the end."""
    for _ in range(int(seconds / 2)):
        await asyncio.sleep(2)
        await library.tell("drop")


def said(event: Json, key: str = "message") -> Json:
    return cast("Json", event[key])


def whole(feed: Feed, stream: str) -> list[int]:
    return list(range(feed.sent[stream]))


SHORT_AND_LONG = pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.full)])


class TestBasics:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_subscribes_performs_hears_and_is_refused(self, stage: Stage, kind: str) -> None:
        forbidden: Json = {"channel": "SparkChannel", "params": {"name": "forbidden"}}
        channels = [SPARK, GREETING, forbidden]
        async with running_library(kind, stage.hubs[0].url, spark.mint(stage.person()), channels) as library:
            await library.until("confirmed", index=0)
            await library.until("rejected", index=2)
            assert (await library.until("message", index=1))["message"] == {"welcome": "Ada"}
            await library.tell("perform", 0, "echo", {"text": "hello"})
            assert (await library.until("message", index=0))["message"] == {"echo": {"text": "hello"}, "name": "main"}
            await stage.publish({"n": 1})
            assert (await library.until("message", 2, index=0))["message"] == {"n": 1}
            await library.tell("unsubscribe", 0)
            await library.tell("perform", 1, "none", {})
            assert said(await library.until("message", 2, index=1))["type"] == "error"
            await stage.publish({"n": 2})
            await library.tell("perform", 1, "none", {})
            await library.until("message", 3, index=1)
            assert library.numbers() == [1]

    async def test_presence_and_whispers(self, stage: Stage) -> None:
        async with (
            running_library("core-ext", stage.hubs[0].url, spark.mint(stage.person()), [SPARK]) as first,
            running_library("core-ext", stage.hubs[1].url, spark.mint(stage.person()), [SPARK]) as second,
        ):
            await asyncio.gather(first.until("confirmed"), second.until("confirmed"))
            await first.tell("join", 0, "u1", {"name": "Ada"})
            assert (await second.until("presence"))["presence"] == {"type": "join", "id": "u1", "info": {"name": "Ada"}}
            await second.tell("who", 0)
            assert (await second.until("who"))["who"] == {"u1": {"name": "Ada"}}
            await second.tell("whisper", 0, {"typing": True})
            assert (await first.until("message"))["message"] == {"typing": True}
            await first.tell("drop")
            await first.until("confirmed", 2)
            assert [said(one, "presence")["type"] for one in second.of("presence")] == ["join", "info"]

    async def test_an_expired_token_is_refreshed_by_the_client_itself(self, stage: Stage) -> None:
        who = stage.person(life_s=2)
        fresh = type(who)(
            who.user_id, who.account_id, who.name, "", who.permissions, stage.person().expires_at, who.token_id
        )
        tokens = {"freshToken": spark.mint(fresh)}
        async with running_library("core-ext", stage.hubs[0].url, spark.mint(who), [SPARK], **tokens) as library:
            await library.until("confirmed")
            assert (await library.until("closed"))["reason"] == "token_expired"
            await library.until("connected", 2)
            await library.until("confirmed", 2)
            await stage.publish({"n": 0})
            await library.until("message")


class TestDrops:
    @SHORT_AND_LONG
    async def test_the_extended_client_gets_everything_once_and_in_order(self, api: Api, seconds: int) -> None:
        feed = Feed(api.redis, [api.stream])
        async with running_library("core-ext", api.url, await api.token(), [api.channel]) as library:
            await library.until("confirmed")
            await asyncio.gather(feed.run(seconds), tear(library, seconds))
            await library.until_number(feed.sent[api.stream] - 1)
            assert library.numbers() == whole(feed, api.stream)
            assert len(library.of("lost")) >= seconds / 2 - 1
            assert all(one["restored"] for one in library.of("connected")[1:])

    @SHORT_AND_LONG
    async def test_on_several_subscriptions_with_several_streams_too(self, stage: Stage, seconds: int) -> None:
        feed = Feed(stage.redis, [stage.stream(name) for name in ("main", "second", "third")])
        token = spark.mint(stage.person())
        async with running_library("core-ext", stage.hubs[0].url, token, [SPARK, TWO]) as library:
            await library.until("confirmed", 2)
            await asyncio.gather(feed.run(seconds), tear(library, seconds))
            for index, streams in enumerate((feed.streams[:1], feed.streams[1:])):
                await library.until_numbers(sum(feed.sent[stream] for stream in streams), index)
            assert library.numbers(0) == whole(feed, feed.streams[0])
            for stream in feed.streams[1:]:
                of_stream = [one for one in library.of("message", index=1) if said(one, "meta")["stream"] == stream]
                assert [said(one)["n"] for one in of_stream] == whole(feed, stream)

    @SHORT_AND_LONG
    @pytest.mark.parametrize("kind", ["rails", "core"])
    async def test_base_clients_come_back_and_get_nothing_twice(self, stage: Stage, kind: str, seconds: int) -> None:
        feed = Feed(stage.redis, [stage.stream()])
        async with running_library(kind, stage.hubs[0].url, spark.mint(stage.person()), [SPARK]) as library:
            await library.until("confirmed")
            await asyncio.gather(feed.run(seconds), tear(library, seconds))
            # Until it hears again: a connection may have been torn away before its confirmation.
            async with asyncio.timeout(WAIT_S):
                while library.numbers()[-1] < feed.sent[feed.streams[0]] - 10:
                    await feed.run(0.5)
            got = library.numbers()
            assert got == sorted(set(got)), "in order, none twice"


class TestRestart:
    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
    async def test_of_the_api_loses_and_repeats_nothing(self, api: Api, how: signal.Signals) -> None:
        feed = Feed(api.redis, [api.stream])
        async with running_library("core-ext", api.url, await api.token(), [api.channel]) as library:
            await library.until("confirmed")
            publishing = asyncio.create_task(feed.run(6))
            await library.until_number(15)
            api.process.send(how)
            await api.process.ended()
            api.process.start()
            await library.until("connected", 2)
            await publishing
            await library.until_number(feed.sent[api.stream] - 1)
            assert library.numbers() == whole(feed, api.stream)


class TestFlush:
    async def test_the_client_is_told_to_fetch_anew_and_hears_on(self, api: Api) -> None:
        feed = Feed(api.redis, [api.stream])
        async with running_library("core-ext", api.url, await api.token(), [api.channel]) as library:
            await library.until("confirmed")
            await feed.run(0.5)
            await library.until_number(9)
            await ask(api.redis, "FLUSHALL")
            await library.tell("drop")
            await feed.run(0.2)
            await library.until("history_not_found")
            await feed.run(0.5)
            await library.until_number(feed.sent[api.stream] - 1)
            assert library.numbers()[-10:] == whole(feed, api.stream)[-10:]
