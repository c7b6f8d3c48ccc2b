"""A channel's inbound rate: an atomic sliding window in Redis that reserves a later place instead of refusing.

A message over the limit is stored all the same and processed when its place comes; nothing is dropped, and no
verified webhook is ever answered 429 (ruling 15). While Redis is away there is no limit (ruling 13).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()

WINDOW_S: Final = 60
NOTICE_EVERY_S: Final = 60

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
return place - now
"""


class ArrivalLimit:
    """One per process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_SCRIPT)

    async def place(self, channel_id: UUID, limit_per_minute: int) -> datetime | None:
        """Take a place in the channel's window: None for now, else when the message may be processed."""
        keys = [f"arrivals:{{{channel_id}}}", f"arrivals:{{{channel_id}}}:n"]
        try:
            wait_ms = int(await self._take(keys=keys, args=[limit_per_minute, WINDOW_S * 1000]))
        except (RedisError, OSError) as error:
            log.warning("arrival_limit.redis_away", error=type(error).__name__)
            return None
        return datetime.now(UTC) + timedelta(milliseconds=wait_ms) if wait_ms > 0 else None

    async def may_notify(self, aggregate: str) -> bool:
        """Whether a session was not told yet, within the last minute, that its messages wait."""
        try:
            return bool(await self._redis.set(f"arrivals:notice:{aggregate}", 1, nx=True, ex=NOTICE_EVERY_S))
        except (RedisError, OSError):
            return False
