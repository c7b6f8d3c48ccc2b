"""The publisher against a real server: places in the log, repeats, epochs, refusals."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis

from realtime.client import ask, redis_client
from realtime.errors import EventTooLargeError, RealtimeUnavailableError
from realtime.keys import event_key, live_channel, log_key, meta_key
from realtime.publish import MAX_EVENT_BYTES, HistoryLimits, Publication, Publisher
from tests.realtime.support import Valkey, running_valkey

STREAM = "chat_session_1"


async def entries(redis: Redis, stream: str = STREAM) -> list[tuple[str, bytes]]:
    found = cast("list[tuple[bytes, dict[bytes, bytes]]]", await ask(redis, "XRANGE", log_key(stream), "-", "+"))
    return [(entry_id.decode(), fields[b"p"]) for entry_id, fields in found]


async def epoch_of(redis: Redis, stream: str = STREAM) -> object:
    return await ask(redis, "HGET", meta_key(stream), "epoch")


@contextlib.asynccontextmanager
async def heard_live(redis: Redis) -> AsyncGenerator[Callable[[], Awaitable[object]]]:
    """Listen as another program would; yields a function that waits for the next message's data."""
    async with redis.pubsub() as listener:  # pyright: ignore[reportUnknownMemberType]
        await listener.subscribe(live_channel(STREAM))
        await listener.get_message(timeout=5)  # the server's answer

        async def data() -> object:
            message = cast("dict[str, object] | None", await listener.get_message(timeout=5))
            assert message is not None
            return message["data"]

        yield data


class TestPublish:
    async def test_counts_from_one_and_logs_each_event_under_its_offset(
        self, redis: Redis, publisher: Publisher
    ) -> None:
        assert [await publisher.publish(STREAM, f"e{n}", b'{"n":%d}' % n) for n in range(3)] == [1, 2, 3]
        assert await entries(redis) == [("1-0", b'{"n":0}'), ("2-0", b'{"n":1}'), ("3-0", b'{"n":2}')]

    async def test_a_repeated_event_keeps_its_offset_and_adds_nothing(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish(STREAM, "first", b"1")
        await publisher.publish(STREAM, "second", b"2")
        assert await publisher.publish(STREAM, "first", b"1") == 1
        assert len(await entries(redis)) == 2

    async def test_the_same_event_fifty_times_at_once_is_one_entry(self, redis: Redis, publisher: Publisher) -> None:
        offsets = await asyncio.gather(*(publisher.publish(STREAM, "once", b"1") for _ in range(50)))
        assert set(offsets) == {1}
        assert len(await entries(redis)) == 1

    async def test_streams_count_by_themselves(self, publisher: Publisher) -> None:
        assert await publisher.publish("a", "e", b"1") == 1
        assert await publisher.publish("b", "e", b"1") == 1

    async def test_every_key_expires(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish(STREAM, "e", b"1")
        for key in (meta_key(STREAM), log_key(STREAM), event_key(STREAM, "e")):
            left = await ask(redis, "TTL", key)
            assert isinstance(left, int)
            assert left > 0

    async def test_the_log_is_trimmed(self, redis: Redis) -> None:
        publisher = Publisher(redis, limits=HistoryLimits(entries=100))
        await publisher.publish_many([Publication(STREAM, f"e{n}", b"1") for n in range(500)])
        kept = await entries(redis)
        assert 100 <= len(kept) < 300
        assert kept[-1][0] == "500-0"

    async def test_the_script_is_loaded_again_when_redis_forgot_it(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish(STREAM, "a", b"1")
        await ask(redis, "SCRIPT FLUSH")
        assert await publisher.publish(STREAM, "b", b"2") == 2

    async def test_live_readers_get_epoch_offset_and_the_payload_byte_for_byte(
        self, redis: Redis, publisher: Publisher
    ) -> None:
        async with heard_live(redis) as messages:
            await publisher.publish(STREAM, "e", b'{"text": "a|b \xc3\xa9"}')
            message = await messages()
        epoch = await epoch_of(redis)
        assert isinstance(epoch, bytes)
        assert isinstance(message, bytes)
        header, at_ms, rest = message.split(b"|", 2)[0], message.split(b"|")[2], message.split(b"|", 3)[3]
        assert header == epoch
        assert abs(int(at_ms) / 1000 - time.time()) < 60
        assert rest == b'|{"text": "a|b \xc3\xa9"}'

    async def test_an_oversized_event_is_refused_before_anything_is_sent(
        self, redis: Redis, publisher: Publisher
    ) -> None:
        small, big = Publication(STREAM, "a", b"1"), Publication(STREAM, "b", b"x" * (MAX_EVENT_BYTES + 1))
        with pytest.raises(EventTooLargeError) as refused:
            await publisher.publish_many([small, big])
        assert refused.value.retryable is False
        assert await entries(redis) == []

    @pytest.mark.parametrize("stream", ["", "a{b", "a}b", "x" * 201])
    async def test_a_name_that_cannot_be_a_hash_tag_is_refused(self, publisher: Publisher, stream: str) -> None:
        with pytest.raises(ValueError, match="not a stream name"):
            await publisher.publish(stream, "e", b"1")


class TestEpoch:
    async def test_lasts_while_the_server_runs(self, redis: Redis, publisher: Publisher) -> None:
        await publisher.publish(STREAM, "a", b"1")
        before = await epoch_of(redis)
        await publisher.publish(STREAM, "b", b"1")
        assert await epoch_of(redis) == before

    async def test_a_server_back_from_a_snapshot_starts_a_new_one(self, tmp_path: Path) -> None:
        async with running_valkey(tmp_path) as server:
            redis = redis_client(server.url)
            publisher = Publisher(redis)
            await publisher.publish(STREAM, "a", b"1")
            await ask(redis, "SAVE")
            await publisher.publish(STREAM, "lost", b"2")
            before = await epoch_of(redis)
            await server.kill()
            await server.start()
            assert await epoch_of(redis) == before, "the snapshot was not restored"
            assert await publisher.publish(STREAM, "b", b"3") == 1
            assert await epoch_of(redis) != before
            assert await entries(redis) == [("1-0", b"3")]
            assert await publisher.publish(STREAM, "a", b"1") == 2, "its entry is gone, so it must be published again"
            await redis.aclose()

    async def test_redis_away_is_a_refusal_that_may_be_tried_again(self, own_valkey: Valkey, own_redis: Redis) -> None:
        publisher = Publisher(own_redis)
        await publisher.publish(STREAM, "a", b"1")
        await own_valkey.kill()
        with pytest.raises(RealtimeUnavailableError) as refused:
            await publisher.publish(STREAM, "b", b"1")
        assert refused.value.retryable is True
        with pytest.raises(RealtimeUnavailableError):
            await publisher.publish_transient(STREAM, b"1")
        await own_valkey.start()
        assert await publisher.publish(STREAM, "b", b"1") == 1


class TestPublishTransient:
    async def test_is_sent_but_not_stored(self, redis: Redis, publisher: Publisher) -> None:
        async with heard_live(redis) as messages:
            await publisher.publish_transient(STREAM, b"{}", exclude_sid="me")
            message = await messages()
        assert message == b"|0||me|{}"
        assert await entries(redis) == []
