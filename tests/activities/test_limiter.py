"""The limiter on a real Redis: buckets that processes share, places in the queue, waits for whom they concern."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from activities.limiter import SendLimiter
from adapters.limits import Place, Scope, SendRule, Verb
from realtime.client import redis_client

ROOT = Path(__file__).parents[2]
OTHER = """
import asyncio, sys
from activities.limiter import SendLimiter
from adapters.limits import Place, Scope, SendRule, Verb
from realtime.client import redis_client
place = Place(sys.argv[2], "c", Verb.SEND, (SendRule("bot", 10, 600, 10, Scope.BOT),))
async def main():
    limiter = SendLimiter(redis_client(sys.argv[1]))
    waits = [await limiter.take(place, f"other-{number}") for number in range(10)]
    print(sum(wait == 0 for wait in waits))
asyncio.run(main())
"""


def place(*rules: SendRule, bot: str | None = None, chat: str = "c", verb: Verb = Verb.SEND) -> Place:
    wanted = tuple(rule for rule in rules if verb in rule.verbs)
    return Place(bot or uuid4().hex, chat, verb, wanted, apart=True)


BOT = SendRule("bot", 10, 600, 10, Scope.BOT)
CHAT = SendRule("chat", 1, 60, 2, Scope.CHAT)


@pytest.fixture
def limiter(redis: Redis) -> SendLimiter:
    return SendLimiter(redis)


@pytest.fixture
async def away() -> SendLimiter:
    """One whose Redis is not there."""
    return SendLimiter(redis_client("redis://127.0.0.1:1/0"))


@pytest.fixture(params=["redis", "away"])
def either(request: pytest.FixtureRequest, limiter: SendLimiter, away: SendLimiter) -> SendLimiter:
    return limiter if request.param == "redis" else away


class TestTake:
    async def test_a_burst_passes_and_who_comes_next_is_told_how_long(self, either: SendLimiter) -> None:
        where = place(CHAT)
        assert [await either.take(where, f"m{number}") for number in range(2)] == [0, 0]
        assert 59 < await either.take(where, "m2") <= 60

    async def test_each_who_waits_has_a_place_of_its_own(self, either: SendLimiter) -> None:
        where = place(CHAT)
        waits = [await either.take(where, f"m{number}") for number in range(5)]
        assert [math.ceil(wait) for wait in waits] == [0, 0, 60, 120, 180]

    async def test_what_takes_two_requests_takes_two_places(self, either: SendLimiter) -> None:
        where = place(BOT)
        files = [await either.take(replace(where, cost=2), f"f{number}") for number in range(4)]
        texts = [await either.take(where, f"t{number}") for number in range(3)]
        assert (files, texts[:2], math.ceil(texts[2])) == ([0] * 4, [0] * 2, 60)

    async def test_asking_again_too_early_keeps_the_place(self, either: SendLimiter) -> None:
        where = place(CHAT)
        waits = [await either.take(where, name) for name in ("a", "b", "c", "c", "d")]
        assert [math.ceil(wait) for wait in waits] == [0, 0, 60, 60, 120]

    async def test_who_has_waited_may_go_and_pays_no_second_time(self, either: SendLimiter) -> None:
        where = place(SendRule("chat", 1, 0.5, 1, Scope.CHAT))
        assert await either.take(where, "a") == 0
        assert 0 < await either.take(where, "b") <= 0.5
        while left := await either.take(where, "b"):
            await asyncio.sleep(left)
        # Its place was the only one after the first: had it paid twice, the next would be a second away.
        assert await either.take(where, "c") <= 0.5

    async def test_chats_of_one_bot_share_its_rule_and_not_each_others(self, either: SendLimiter) -> None:
        bot = uuid4().hex
        taken = [await either.take(place(BOT, CHAT, bot=bot, chat=f"c{number}"), f"m{number}") for number in range(11)]
        assert taken[:10] == [0] * 10
        assert 59 < taken[10] <= 60

    async def test_a_wait_for_a_chat_takes_nothing_from_the_bot(self, either: SendLimiter) -> None:
        bot = uuid4().hex
        for number in range(2 + 20):
            await either.take(place(BOT, CHAT, bot=bot), f"m{number}")
        others = [await either.take(place(BOT, CHAT, bot=bot, chat=f"c{number}"), f"o{number}") for number in range(8)]
        assert others == [0] * 8

    async def test_pace_nought_knows_no_rules(self, redis: Redis) -> None:
        limiter = SendLimiter(redis, pace=0)
        where = place(CHAT)
        assert [await limiter.take(where, f"m{number}") for number in range(9)] == [0] * 9

    async def test_a_redis_that_says_nothing_holds_nobody_up(self) -> None:
        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as silent:
            client = redis_client(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0")
            limiter, where = SendLimiter(client), place(CHAT)
            assert [await limiter.take(where, f"m{number}") for number in range(2)] == [0, 0]
            assert await limiter.take(where, "m2") > 0
            await client.aclose()

    async def test_two_processes_share_one_bucket(self, limiter: SendLimiter, redis_url: str) -> None:
        bot = uuid4().hex
        command = [sys.executable, "-c", OTHER, redis_url, bot]
        other = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "."}, stdout=asyncio.subprocess.PIPE
        )
        ours = [await limiter.take(place(BOT, bot=bot), f"ours-{number}") for number in range(10)]
        said, _ = await other.communicate()
        assert sum(wait == 0 for wait in ours) + int(said) == 10


class TestHasRoom:
    async def test_what_can_be_left_out_leaves_room_for_messages(self, either: SendLimiter) -> None:
        where = place(CHAT)
        assert await either.has_room(where)
        assert not await either.has_room(where)
        assert await either.take(where, "m") == 0

    async def test_it_takes_no_place_in_the_queue(self, either: SendLimiter) -> None:
        where = place(CHAT)
        for _ in range(5):
            await either.has_room(where)
        assert await either.take(where, "m") == 0
        assert 59 < await either.take(where, "n") <= 60


class TestPause:
    async def test_a_bots_wait_stops_all_its_chats_in_every_process(self, limiter: SendLimiter, redis: Redis) -> None:
        where = place(CHAT)
        await limiter.pause(where, 60, Scope.BOT)
        for other in (limiter, SendLimiter(redis)):
            assert 59 < await other.take(place(CHAT, bot=where.bot, chat="d"), "m") <= 60
            assert not await other.has_room(place(CHAT, bot=where.bot, chat="d"))
        assert await limiter.take(place(CHAT), "m") == 0

    async def test_a_chats_wait_stops_that_chat_alone(self, limiter: SendLimiter, redis: Redis) -> None:
        where = place(CHAT)
        await limiter.pause(where, 60, Scope.CHAT)
        for other in (limiter, SendLimiter(redis)):
            assert 59 < await other.take(where, "m") <= 60
        assert await limiter.take(place(CHAT, bot=where.bot, chat="d"), "m") == 0

    async def test_a_wait_for_edits_lets_messages_pass(self, limiter: SendLimiter) -> None:
        where = place(CHAT, verb=Verb.EDIT)
        await limiter.pause(where, 60, Scope.BOT, verb=Verb.EDIT)
        assert not await limiter.has_room(where)
        assert await limiter.take(place(CHAT, bot=where.bot), "m") == 0

    async def test_a_shorter_wait_does_not_end_a_longer_one(self, limiter: SendLimiter, redis: Redis) -> None:
        where = place(CHAT)
        await limiter.pause(where, 60, Scope.CHAT)
        await limiter.pause(where, 1, Scope.CHAT)
        assert await SendLimiter(redis).take(where, "m") > 50

    async def test_while_redis_is_away_each_process_remembers(self, away: SendLimiter) -> None:
        where = place(CHAT)
        await away.pause(where, 60, Scope.CHAT)
        assert 50 < await away.take(where, "m") <= 60


class TestBlame:
    def test_a_wait_that_the_chats_own_rules_explain_is_the_chats(self) -> None:
        where = place(SendRule("chat", 1, 1, 3, Scope.CHAT), SendRule("bot", 30, 1, 30, Scope.BOT))
        assert [where.blames(wait_s) for wait_s in (1, 5, 6, 60)] == [Scope.CHAT, Scope.CHAT, Scope.BOT, Scope.BOT]

    def test_a_groups_minute_explains_a_minute(self) -> None:
        assert place(SendRule("group", 16, 60, 4, Scope.CHAT)).blames(60) is Scope.CHAT

    def test_where_chats_have_no_rules_the_bot_is_meant(self) -> None:
        assert place(BOT).blames(1) is Scope.BOT
