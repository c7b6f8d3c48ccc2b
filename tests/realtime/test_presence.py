"""Who is present, across two processes: joining and leaving, several sockets of one id, time running out, a lost Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
from redis.asyncio import Redis

from realtime.client import ask
from realtime.keys import member_counts_key, member_infos_key, members_key
from tests.realtime.cable import Client, Json, identifier
from tests.realtime.hub_process import HubProcess, Tuning, running_hubs
from tests.realtime.stage import SPARK, Stage
from tests.realtime.support import Valkey


@pytest.fixture(scope="module")
async def brief_hubs(shared_valkey: Valkey) -> AsyncIterator[list[HubProcess]]:
    """Two processes that let presence run out soon."""
    async with running_hubs(shared_valkey.url, *(Tuning(presence_ttl_s=0.6),) * 2) as running:
        yield running


@pytest.fixture
async def brief(brief_hubs: list[HubProcess], redis: Redis) -> Stage:
    return Stage(brief_hubs, redis)


def told(message: Json, name: str = SPARK) -> Json:
    return {"type": "presence", "identifier": name, "message": message}


def joined(who: object, info: object = None) -> Json:
    return told({"type": "join", "id": who, "info": info})


def left(who: object) -> Json:
    return told({"type": "leave", "id": who})


async def join(client: Client, who: object, info: object = None) -> None:
    await client.send(command="join", identifier=SPARK, presence={"id": who, "info": info})


async def who_is_there(client: Client, **data: object) -> Json:
    await client.send(command="presence", identifier=SPARK, **({"data": data} if data else {}))
    frame = await client.next()
    assert frame["type"] == "presence"
    return cast("Json", frame["message"])


class TestJoin:
    async def test_everybody_hears_it_the_joiner_too(self, stage: Stage) -> None:
        async with stage.client(0) as first, stage.client(1) as second:
            for client in (first, second):
                await client.subscribe(SPARK)
            await join(first, "u1", {"name": "Ada"})
            for client in (first, second):
                assert await client.next() == joined("u1", {"name": "Ada"})

    async def test_with_the_subscription_it_comes_after_the_history(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.send(
                command="subscribe", identifier=SPARK, history={"since": 0}, presence={"id": "u1", "info": {}}
            )
            frames = [await client.next() for _ in range(3)]
        assert [frame["type"] for frame in frames] == ["confirm_subscription", "confirm_history", "presence"]

    async def test_a_second_socket_of_an_id_is_not_told(self, stage: Stage) -> None:
        async with stage.client(0) as first, stage.client(1) as second, stage.client() as watcher:
            for client in (first, second, watcher):
                await client.subscribe(SPARK)
            await join(first, "u1")
            await join(second, "u1")
            await join(second, "u1")
            assert await watcher.next() == joined("u1")
            await second.send(command="leave", identifier=SPARK)
            assert await watcher.settled() == []
            await first.send(command="leave", identifier=SPARK)
            assert await watcher.next() == left("u1")

    async def test_base_clients_hear_nothing_of_it(self, stage: Stage) -> None:
        async with stage.client() as client, stage.client(base=True) as base:
            for one in (client, base):
                await one.subscribe(SPARK)
            await join(client, "u1")
            assert await client.next() == joined("u1")
            await join(base, "u2")
            assert await base.settled() == []
            assert await client.settled() == []

    async def test_another_id_on_the_same_subscription_replaces_the_first(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.subscribe(SPARK)
            await join(client, "u1")
            await join(client, 2)
            assert [await client.next() for _ in range(3)] == [joined("u1"), left("u1"), joined(2)]

    async def test_one_may_not_be_who_one_is_not(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.subscribe(SPARK)
            await join(client, "somebody else")
            assert await client.next() == told({"type": "error"})

    async def test_a_channel_without_presence_says_so(self, stage: Stage) -> None:
        name = identifier("GreetingChannel")
        async with stage.client() as client:
            await client.subscribe(name)
            await client.settled()
            await client.send(command="presence", identifier=name)
            assert await client.next() == told({"type": "error"}, name)

    async def test_every_key_expires(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.subscribe(SPARK)
            await join(client, "u1")
            await client.next()
            for key in (members_key, member_counts_key, member_infos_key):
                assert 0 < cast("int", await ask(stage.redis, "PTTL", key(stage.stream()))) <= 60_000


class TestLeave:
    async def test_unsubscribing_leaves(self, stage: Stage) -> None:
        async with stage.client(0) as leaver, stage.client(1) as watcher:
            for client in (leaver, watcher):
                await client.subscribe(SPARK)
            await join(leaver, "u1")
            await leaver.send(command="unsubscribe", identifier=SPARK)
            assert [await watcher.next() for _ in range(2)] == [joined("u1"), left("u1")]

    async def test_without_having_joined_is_silence(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.subscribe(SPARK)
            await client.send(command="leave", identifier=SPARK, presence={"id": "u1"})
            assert await client.settled() == []


class TestInfo:
    async def test_tells_who_is_there_in_any_process(self, stage: Stage) -> None:
        async with stage.client(0) as first, stage.client(1) as second:
            await first.subscribe(SPARK)
            await join(first, "u1", {"name": 'A "quoted" \x1f name'})
            await first.next()
            await second.subscribe(SPARK)
            people = [{"id": "u1", "info": {"name": 'A "quoted" \x1f name'}}]
            assert await who_is_there(second) == {"type": "info", "total": 1, "records": people}

    async def test_without_records_only_how_many(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.subscribe(SPARK)
            assert await who_is_there(client) == {"type": "info", "total": 0, "records": []}
            await join(client, "u1")
            await client.next()
            assert await who_is_there(client, return_records=False) == {"type": "info", "total": 1}


class TestTimeToLive:
    async def test_who_stays_is_refreshed_and_who_vanished_leaves_after_a_while(self, brief: Stage) -> None:
        async with brief.client(0) as stayer, brief.client(1) as watcher:
            for client in (stayer, watcher):
                await client.subscribe(SPARK)
            async with brief.client() as vanishing:
                await vanishing.subscribe(SPARK)
                await join(stayer, "stayer")
                await vanishing.next()
                await join(vanishing, "vanishing")
                await vanishing.next()
                await brief.drop(vanishing)
            assert [await watcher.next() for _ in range(3)] == [
                joined("stayer"),
                joined("vanishing"),
                left("vanishing"),
            ]
            assert (await who_is_there(watcher))["total"] == 1

    async def test_who_returns_in_time_never_left(self, brief: Stage) -> None:
        who = brief.person()
        async with brief.client(1) as watcher:
            await watcher.subscribe(SPARK)
            async with brief.socket(who=who) as (client, welcome):
                await client.subscribe(SPARK)
                await join(client, "u1")
                await client.next()
                await brief.drop(client)
            async with brief.socket(who=who, sid=cast("str", welcome["sid"])) as (client, again):
                assert again["restored"] is True
                await client.send(command="history", identifier=SPARK, history={"since": 0})
                await join(client, "u1")
                assert await client.settled() == [{"type": "confirm_history", "identifier": SPARK}]
                assert await watcher.settled() == [joined("u1")]

    async def test_a_redis_that_lost_all_is_told_again(self, brief: Stage) -> None:
        async with brief.client(0) as client:
            await client.subscribe(SPARK)
            await join(client, "u1", {"n": 1})
            assert await client.next() == joined("u1", {"n": 1})
            await ask(brief.redis, "FLUSHALL")
            assert await client.next() == joined("u1", {"n": 1})
            assert (await who_is_there(client))["total"] == 1
