"""A channel's inbound rate: an atomic sliding window in Redis that reserves a later place instead of refusing.

A message over the limit is stored all the same and processed when its place comes; nothing is dropped, and no
verified webhook is ever answered 429 (ruling 15). While Redis is away there is no limit (ruling 13).

A platform waits for our answer, so while a window has much room its places are taken after the work, not before it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()

WINDOW_S: Final = 60
NOTICE_EVERY_S: Final = 60
SHARES: Final = 8
"""A process lets in an eighth of the room that it saw last before it waits to be told again. A process that did not hear
how others filled the window can overfill it by that much; what it let in is counted, so who comes next waits longer."""

# Places are scores in milliseconds; reserved ones lie in the future and count like those that were taken.
_SCRIPT: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
local n, limit, place = redis.call('ZCARD', KEYS[1]), tonumber(ARGV[1]), now
if n >= limit then
  local blocking = redis.call('ZRANGE', KEYS[1], n - limit, n - limit, 'WITHSCORES')
  place = math.max(now, tonumber(blocking[2]) + ARGV[2])
end
redis.call('ZADD', KEYS[1], place, place .. ':' .. redis.call('INCR', KEYS[2]))
redis.call('PEXPIRE', KEYS[1], place - now + ARGV[2])
redis.call('PEXPIRE', KEYS[2], place - now + ARGV[2])
return {place - now, math.max(0, limit - n - 1)}
"""


@dataclass(slots=True)
class _Window:
    share: int = 0
    unheard: int = 0


class ArrivalLimit:
    """One per process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_SCRIPT)
        self._windows: defaultdict[UUID, _Window] = defaultdict(_Window)
        self._untold: list[tuple[_Window, UUID, int]] = []
        self._takings: set[asyncio.Task[None]] = set()

    async def place(self, channel_id: UUID, limit_per_minute: int) -> datetime | None:
        """Take a place in the channel's window: None for now, else when the message may be processed."""
        window = self._windows[channel_id]
        if window.unheard < window.share:
            window.unheard += 1
            self._untold.append((window, channel_id, limit_per_minute))
            return None
        wait_ms = await self._take_place(window, channel_id, limit_per_minute)
        return datetime.now(UTC) + timedelta(milliseconds=wait_ms) if wait_ms > 0 else None

    def tell(self) -> None:
        """Have the places that were given without asking counted, in the background: call it when the work is done."""
        for given in self._untold:
            taking = asyncio.create_task(self._take_unasked(*given))
            self._takings.add(taking)
            taking.add_done_callback(self._takings.discard)
        self._untold.clear()

    async def settle(self) -> None:
        """Wait until every place that was given is counted, before Redis is closed."""
        self.tell()
        await asyncio.gather(*self._takings)

    async def _take_unasked(self, window: _Window, channel_id: UUID, limit_per_minute: int) -> None:
        try:
            await self._take_place(window, channel_id, limit_per_minute)
        finally:
            window.unheard -= 1

    async def _take_place(self, window: _Window, channel_id: UUID, limit_per_minute: int) -> int:
        keys = [f"arrivals:{{{channel_id}}}", f"arrivals:{{{channel_id}}}:n"]
        try:
            answer = cast("list[int]", await self._take(keys=keys, args=[limit_per_minute, WINDOW_S * 1000]))
        except (RedisError, OSError) as error:
            log.warning("arrival_limit.redis_away", error=type(error).__name__)
            window.share = 0
            return 0
        wait_ms, room = answer
        window.share = room // SHARES
        return wait_ms

    async def may_notify(self, aggregate: str) -> bool:
        """Whether a session was not told yet, within the last minute, that its messages wait."""
        try:
            return bool(await self._redis.set(f"arrivals:notice:{aggregate}", 1, nx=True, ex=NOTICE_EVERY_S))
        except (RedisError, OSError):
            return False
