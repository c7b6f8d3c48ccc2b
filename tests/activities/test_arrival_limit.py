"""A channel's window of inbound messages, on a real Redis: what waits to be told, what does not, and that all are counted."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import datetime
from uuid import uuid4

from redis.asyncio import Redis

from activities.arrival_limit import SHARES, ArrivalLimit

LIMIT = 5 * SHARES


def waits(taking: Coroutine[object, object, datetime | None]) -> bool:
    """Whether a place has to be waited for; one that has is not taken."""
    try:
        taking.send(None)
    except StopIteration:
        return False
    taking.close()
    return True


class TestArrivalLimit:
    async def test_the_first_one_over_the_limit_is_told_when(self, redis: Redis) -> None:
        limit, channel = ArrivalLimit(redis), uuid4()
        assert [await limit.place(channel, 3) for _ in range(3)] == [None] * 3
        assert await limit.place(channel, 3) is not None

    async def test_a_share_of_the_room_is_given_without_waiting_and_counted(self, redis: Redis) -> None:
        limit, channel = ArrivalLimit(redis), uuid4()
        assert waits(limit.place(channel, LIMIT)), "nothing is known of the window yet"
        await limit.place(channel, LIMIT)
        share = (LIMIT - 1) // SHARES
        assert [waits(limit.place(channel, LIMIT)) for _ in range(share + 1)] == [False] * share + [True]
        await limit.settle()
        assert await redis.zcard(f"arrivals:{{{channel}}}") == 1 + share

    async def test_processes_that_hear_of_each_other_keep_the_limit(self, redis: Redis) -> None:
        processes, channel = [ArrivalLimit(redis) for _ in range(3)], uuid4()
        given = 0
        for _ in range(LIMIT):
            for process in processes:
                given += await process.place(channel, LIMIT) is None
                await process.settle()
        assert LIMIT <= given <= LIMIT + len(processes)

    async def test_a_window_filled_by_others_is_overfilled_by_a_share_at_most(self, redis: Redis) -> None:
        idle, busy, channel = ArrivalLimit(redis), ArrivalLimit(redis), uuid4()
        await idle.place(channel, LIMIT)
        for _ in range(LIMIT):
            await busy.place(channel, LIMIT)
            await busy.settle()
        given = [await idle.place(channel, LIMIT) for _ in range(LIMIT)].count(None)
        assert 0 < given <= LIMIT // SHARES
