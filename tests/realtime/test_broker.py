"""The broker against a real server: acknowledged subscriptions, gaps, lost connections, a Redis that starts anew."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis

from realtime.backlog import HistoryRequest, Position, read_log
from realtime.broker import Broker, BrokerTiming
from realtime.client import ask, redis_client
from realtime.counters import Count, Counters
from realtime.errors import RealtimeUnavailableError
from realtime.keys import live_channel, log_key, meta_key
from realtime.publish import HistoryLimits, Publication, Publisher
from realtime.streams import Delivery
from realtime.subscriber import SubscriberTiming
from tests.realtime.support import WAIT_S, Valkey, running_valkey, until

STREAM = "chat_session_1"
FAST = BrokerTiming(
    subscribe_timeout_s=2, linger_s=0, retry_s=0.02,
    subscriber=SubscriberTiming(canary_period_s=0.05, deaf_after_s=2, first_backoff_s=0.01, max_backoff_s=0.05),
)  # fmt: skip


class Ear:
    """A broker and what it delivered."""

    def __init__(self, redis: Redis, timing: BrokerTiming = FAST) -> None:
        self.redis = redis
        self.heard: list[Delivery] = []
        self.counters = Counters()
        self.broker = Broker(redis, self.heard.append, counters=self.counters, timing=timing)

    @property
    def payloads(self) -> list[bytes]:
        return [delivery.payload for delivery in self.heard]

    @property
    def offsets(self) -> list[int]:
        return [delivery.offset for delivery in self.heard]


@contextlib.asynccontextmanager
async def listening(redis: Redis, timing: BrokerTiming = FAST) -> AsyncGenerator[Ear]:
    ear = Ear(redis, timing)
    ear.broker.start()
    try:
        yield ear
    finally:
        await ear.broker.stop()


async def listeners(redis: Redis, stream: str = STREAM) -> int:
    answer = cast("list[object]", await ask(redis, "PUBSUB", "NUMSUB", live_channel(stream)))
    pair = cast("tuple[bytes, int]", answer[0] if isinstance(answer[0], tuple) else tuple(answer))
    return pair[1]


async def until_alone(redis: Redis) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            if not await listeners(redis):
                return


async def cut_subscribers(redis: Redis) -> None:
    await ask(redis, "CLIENT", "KILL", "TYPE", "pubsub")


class TestSubscribe:
    async def test_returns_only_when_redis_has_acknowledged(self, redis: Redis) -> None:
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            assert await listeners(redis) == 1

    async def test_delivers_what_is_published_from_then_on_in_order(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish(STREAM, "before", b"0")
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            await publisher.publish_many([Publication(STREAM, f"e{n}", b"%d" % n) for n in range(1, 201)])
            await until(lambda: len(ear.heard) == 200)
            assert ear.offsets == list(range(2, 202))
            assert len({delivery.epoch for delivery in ear.heard}) == 1
            assert ear.counters[Count.GAP_FILLS] == 0

    async def test_a_repeated_publish_is_delivered_once(self, redis: Redis, publisher: Publisher) -> None:
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            for event in ("a", "a", "b", "a"):
                await publisher.publish(STREAM, event, event.encode())
            await until(lambda: ear.payloads[-1:] == [b"b"])
            assert ear.payloads == [b"a", b"b"]

    async def test_many_at_once_share_one_subscription(self, redis: Redis, publisher: Publisher) -> None:
        async with listening(redis) as ear:
            await asyncio.gather(*(ear.broker.subscribe(STREAM) for _ in range(20)))
            assert await listeners(redis) == 1
            await publisher.publish(STREAM, "e", b"1")
            await until(lambda: bool(ear.heard))
            assert ear.payloads == [b"1"]

    async def test_one_that_gives_up_does_not_harm_the_others(self, redis: Redis) -> None:
        async with listening(redis) as ear:
            leaver, stayer = (asyncio.create_task(ear.broker.subscribe(STREAM)) for _ in range(2))
            await asyncio.sleep(0)
            leaver.cancel()
            await stayer
            assert await listeners(redis) == 1

    async def test_redis_away_is_a_refusal_and_holds_no_share(self, own_valkey: Valkey, own_redis: Redis) -> None:
        await own_valkey.kill()
        async with listening(own_redis) as ear:
            with pytest.raises(RealtimeUnavailableError):
                await ear.broker.subscribe(STREAM)
            await own_valkey.start()
            await ear.broker.subscribe(STREAM)
            assert await listeners(own_redis) == 1

    async def test_passing_events_arrive_with_the_sid_to_spare(self, redis: Redis, publisher: Publisher) -> None:
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            await publisher.publish_transient(STREAM, b'{"a":"|"}', exclude_sid="me")
            await until(lambda: bool(ear.heard))
            assert ear.heard == [Delivery(STREAM, "", 0, b'{"a":"|"}', "me")]

    async def test_what_others_write_on_the_channel_is_dropped(self, redis: Redis, publisher: Publisher) -> None:
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            for noise in (b"", b"noise", b"a|b|c|d", b"\xff|1||x"):
                await ask(redis, "PUBLISH", live_channel(STREAM), noise)
            await publisher.publish(STREAM, "e", b"1")
            await until(lambda: bool(ear.heard))
            assert ear.payloads == [b"1"]
            assert ear.counters[Count.REDIS_CONNECTS] == 1


class TestUnsubscribe:
    async def test_the_last_share_ends_the_subscription(self, redis: Redis) -> None:
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            await ear.broker.subscribe(STREAM)
            ear.broker.unsubscribe(STREAM)
            assert await listeners(redis) == 1
            ear.broker.unsubscribe(STREAM)
            await until_alone(redis)

    async def test_leaving_and_returning_at_once_stays_live(self, redis: Redis, publisher: Publisher) -> None:
        async with listening(redis) as ear:
            for _ in range(50):
                await ear.broker.subscribe(STREAM)
                ear.broker.unsubscribe(STREAM)
                for _turn in range(_ % 4):
                    await asyncio.sleep(0)
            await ear.broker.subscribe(STREAM)
            assert await listeners(redis) == 1
            await publisher.publish(STREAM, "e", b"1")
            await until(lambda: bool(ear.heard))


class TestGapFill:
    async def test_a_jump_is_filled_from_the_log_in_order(self, redis: Redis, publisher: Publisher) -> None:
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            await publisher.publish(STREAM, "e1", b"1")
            await until(lambda: len(ear.heard) == 1)
            # Two events that are stored but whose live message is lost on the way.
            for offset in (2, 3):
                await ask(redis, "HINCRBY", meta_key(STREAM), "top", 1)
                await ask(redis, "XADD", log_key(STREAM), f"{offset}-0", "p", b"%d" % offset)
            await publisher.publish(STREAM, "e4", b"4")
            await until(lambda: len(ear.heard) == 4)
            assert ear.offsets == [1, 2, 3, 4]
            assert ear.payloads == [b"1", b"2", b"3", b"4"]
            assert ear.counters[Count.MISSED_EVENTS] == 0

    async def test_a_cut_connection_misses_nothing(self, redis: Redis, publisher: Publisher) -> None:
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            for n in range(1, 301):
                await publisher.publish(STREAM, f"e{n}", b"%d" % n)
                if n % 60 == 0:
                    await cut_subscribers(redis)
            await until(lambda: len(ear.heard) >= 300)
            assert ear.offsets == list(range(1, 301))
            assert ear.counters[Count.REDIS_CONNECTS] > 1

    async def test_a_quiet_stream_catches_up_without_a_new_event(self, redis: Redis, publisher: Publisher) -> None:
        slow = BrokerTiming(subscriber=SubscriberTiming(first_backoff_s=0.3, max_backoff_s=0.3))
        async with listening(redis, slow) as ear:
            await ear.broker.subscribe(STREAM)
            await cut_subscribers(redis)
            await publisher.publish(STREAM, "e", b"1")
            await until(lambda: bool(ear.heard))
            assert ear.payloads == [b"1"]

    async def test_what_the_log_no_longer_holds_is_counted_as_missed(self, redis: Redis, publisher: Publisher) -> None:
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            await publisher.publish(STREAM, "e1", b"1")
            await until(lambda: len(ear.heard) == 1)
            await ask(redis, "HINCRBY", meta_key(STREAM), "top", 5)
            await publisher.publish(STREAM, "e7", b"7")
            await until(lambda: len(ear.heard) == 2)
            assert ear.offsets == [1, 7]
            assert ear.counters[Count.MISSED_EVENTS] == 5


class TestRedisRestart:
    async def test_a_new_epoch_is_followed_and_nobody_stays_deaf(self, own_valkey: Valkey, own_redis: Redis) -> None:
        publisher = Publisher(own_redis)
        async with listening(own_redis) as ear:
            await ear.broker.subscribe(STREAM)
            await ear.broker.subscribe("quiet")
            for n in range(5):
                await publisher.publish(STREAM, f"old{n}", b"old")
            await until(lambda: len(ear.heard) == 5)
            await own_valkey.kill()
            await own_valkey.start()
            for n in range(3):
                await publisher.publish(STREAM, f"new{n}", b"new")
            await publisher.publish("quiet", "first", b"quiet")
            await until(lambda: len(ear.heard) == 9)
            assert [delivery.offset for delivery in ear.heard if delivery.payload == b"new"] == [1, 2, 3]
            assert len({delivery.epoch for delivery in ear.heard if delivery.stream == STREAM}) == 2
            assert ear.counters[Count.EPOCH_CHANGES] == 1

    async def test_events_of_the_new_epoch_that_came_before_the_reconnect_are_read_once(
        self, own_valkey: Valkey, own_redis: Redis
    ) -> None:
        publisher = Publisher(own_redis)
        slow = BrokerTiming(subscriber=SubscriberTiming(first_backoff_s=0.3, max_backoff_s=0.3))
        async with listening(own_redis, slow) as ear:
            await ear.broker.subscribe(STREAM)
            await publisher.publish(STREAM, "old", b"old")
            await until(lambda: len(ear.heard) == 1)
            await own_valkey.kill()
            await own_valkey.start()
            await publisher.publish_many([Publication(STREAM, f"new{n}", b"new") for n in range(120)])
            await until(lambda: len(ear.heard) == 121)
            assert ear.offsets[1:] == list(range(1, 121))
            await publisher.publish(STREAM, "last", b"last")
            await until(lambda: len(ear.heard) == 122)
            assert ear.counters[Count.LOG_READS] < 10, "a fill did not come to its end"


class TestHearing:
    async def test_a_connection_that_lets_nothing_through_is_noticed_and_replaced(
        self, own_valkey: Valkey, own_redis: Redis
    ) -> None:
        timing = BrokerTiming(subscriber=SubscriberTiming(canary_period_s=0.02, deaf_after_s=0.2, max_backoff_s=0.05))
        async with listening(own_redis, timing) as ear:
            await ear.broker.subscribe(STREAM)
            assert ear.broker.hearing
            own_valkey.pause()
            await until(lambda: not ear.broker.hearing)
            await until(lambda: ear.counters[Count.DEAF] > 0)
            own_valkey.resume()
            await until(lambda: ear.broker.hearing)
            await Publisher(own_redis).publish(STREAM, "e", b"1")
            await until(lambda: bool(ear.heard))


async def caught_up(ear: Ear, wanted: HistoryRequest) -> list[tuple[int, bytes]] | None:
    await ear.broker.catch_up([STREAM], wanted)
    found = ear.broker.backlog([STREAM], wanted)
    return None if found is None else [(delivery.offset, delivery.payload) for delivery in found]


class TestBacklog:
    async def after(self, ear: Ear, offset: int, epoch: str | None = None) -> list[tuple[int, bytes]] | None:
        page = await read_log(ear.redis, STREAM, count=0)
        return await caught_up(ear, HistoryRequest(None, {STREAM: Position(epoch or page.epoch, offset)}))

    async def test_is_what_came_after_a_position(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish_many([Publication(STREAM, f"e{n}", b"%d" % n) for n in range(1, 6)])
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            await publisher.publish(STREAM, "e6", b"6")
            await until(lambda: len(ear.heard) == 1)
            assert await self.after(ear, 3) == [(4, b"4"), (5, b"5"), (6, b"6")]
            assert await self.after(ear, 6) == []
            assert len(await self.after(ear, 0) or []) == 6

    async def test_is_what_came_since_a_time_by_the_servers_clock(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish(STREAM, "e1", b"1")
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            now = time.time()
            assert await caught_up(ear, HistoryRequest(now - 60)) == [(1, b"1")]
            assert await caught_up(ear, HistoryRequest(now + 1)) == [(1, b"1")], "a clock ahead of ours skips nothing"
            await ask(redis, "XADD", log_key("other"), "1-0", "p", "x", "t", "1000")
            await ask(redis, "HSET", meta_key("other"), "run", await run_id(redis), "epoch", "e", "top", 1)
            await ear.broker.subscribe("other")
            await ear.broker.catch_up(["other"], HistoryRequest(2))
            assert ear.broker.backlog(["other"], HistoryRequest(2)) == []
            assert len(ear.broker.backlog(["other"], HistoryRequest(1)) or []) == 1

    @pytest.mark.parametrize("offset", [7, 1000])
    async def test_a_position_that_was_never_reached_is_refused(
        self, redis: Redis, publisher: Publisher, offset: int
    ) -> None:
        await publisher.publish_many([Publication(STREAM, f"e{n}", b"1") for n in range(6)])
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            assert await self.after(ear, offset) is None

    async def test_another_epoch_is_refused(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish(STREAM, "e", b"1")
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            assert await self.after(ear, 0, "other") is None

    async def test_after_a_loss_a_position_is_refused_and_so_is_a_time_before_it(
        self, redis: Redis, publisher: Publisher
    ) -> None:
        await publisher.publish(STREAM, "e1", b"1")
        before = await read_log(redis, STREAM, count=0)
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            assert await caught_up(ear, HistoryRequest(0)) == [(1, b"1")]
            await ask(redis, "FLUSHALL")
            await publisher.publish(STREAM, "e2", b"2")
            await until(lambda: len(ear.heard) == 1)
            assert await self.after(ear, 1, before.epoch) is None
            assert await caught_up(ear, HistoryRequest(time.time() - 60)) is None
            assert await self.after(ear, 0) == [(1, b"2")]

    async def test_what_was_trimmed_is_refused(self, redis: Redis) -> None:
        publisher = Publisher(redis, limits=HistoryLimits(entries=100))
        await publisher.publish_many([Publication(STREAM, f"e{n}", b"1") for n in range(1000)])
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            assert await self.after(ear, 500) is None
            assert await caught_up(ear, HistoryRequest(0)) is None
            assert len(await self.after(ear, 950) or []) == 50

    async def test_more_than_may_be_replayed_is_refused(self, redis: Redis, publisher: Publisher) -> None:
        big = b'"%s"' % (b"x" * 100_000)
        await publisher.publish_many([Publication(STREAM, f"e{n}", big) for n in range(10)])
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            assert await self.after(ear, 0) is None
            assert len(await self.after(ear, 7) or []) == 3

    async def test_a_storm_is_one_read(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish_many([Publication(STREAM, f"e{n}", b"1") for n in range(50)])
        async with listening(redis) as ear:
            await ear.broker.subscribe(STREAM)
            epoch = (await read_log(redis, STREAM, count=0)).epoch
            wanted = [HistoryRequest(0, {STREAM: Position(epoch, n % 50)}) for n in range(500)]
            found = await asyncio.gather(*(caught_up(ear, one) for one in wanted))
            assert [len(part or []) for part in found] == [50 - n % 50 for n in range(500)]
            assert ear.counters[Count.LOG_READS] == 1

    async def test_reading_while_events_come_leaves_no_hole(self, redis: Redis, publisher: Publisher) -> None:
        for turn in range(20):
            await ask(redis, "FLUSHALL")
            await publisher.publish(STREAM, "e0", b"0")
            async with listening(redis) as ear:
                await ear.broker.subscribe(STREAM)
                publishing = asyncio.create_task(
                    publisher.publish_many([Publication(STREAM, f"e{turn}-{n}", b"1") for n in range(1, 100)])
                )
                found = await caught_up(ear, HistoryRequest(0))
                live = len(ear.heard)
                assert [offset for offset, _ in found or []] == list(range(1, live + 2))
                await publishing

    async def test_a_snapshot_of_an_earlier_run_is_no_history(self, tmp_path: Path) -> None:
        async with running_valkey(tmp_path) as server:
            redis = redis_client(server.url)
            publisher = Publisher(redis)
            await publisher.publish(STREAM, "a", b"1")
            epoch = (await read_log(redis, STREAM, count=0)).epoch
            await ask(redis, "SAVE")
            await publisher.publish(STREAM, "lost", b"2")
            await server.kill()
            await server.start()
            async with listening(redis) as ear:
                await ear.broker.subscribe(STREAM)
                assert await self.after(ear, 1, epoch) is None
            await redis.aclose()


async def run_id(redis: Redis) -> str:
    info = cast("dict[str, object]", await ask(redis, "INFO", "server"))
    return str(info["run_id"])
