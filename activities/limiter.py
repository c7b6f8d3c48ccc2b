"""The waits that platforms impose on a bot, shared by all workers through Redis.

A wait that a platform named is also kept on the channel's row, so that it holds when Redis has lost it; while Redis
is away each process remembers for itself (ruling 13).
"""

from __future__ import annotations

import time
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()


class SendLimiter:
    """One per process. Shape in Redis: `send:paused:{channel id}` lives as long as the wait."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._own: dict[UUID, float] = {}

    def waits_here(self, channel_id: UUID) -> bool:
        """Whether this process knows that a channel's bot must be silent; others' waits are on the channel's row."""
        return self._own.get(channel_id, 0.0) > time.monotonic()

    async def wait_s(self, channel_id: UUID) -> float:
        """Return how many seconds a channel's bot must still be silent; 0 when it may send."""
        own = self._own.get(channel_id, 0.0) - time.monotonic()
        if own <= 0:
            self._own.pop(channel_id, None)
        try:
            left_ms: int = await self._redis.pttl(f"send:paused:{channel_id}")
        except (RedisError, OSError):
            left_ms = 0
        return max(own, left_ms / 1000, 0.0)

    async def pause(self, channel_id: UUID, seconds: float) -> None:
        """Silence a channel's bot for `seconds`; a longer wait already known stays."""
        self._own[channel_id] = max(self._own.get(channel_id, 0.0), time.monotonic() + seconds)
        key, milliseconds = f"send:paused:{channel_id}", int(seconds * 1000)
        try:
            if not await self._redis.set(key, 1, px=milliseconds, nx=True):
                await self._redis.pexpire(key, milliseconds, gt=True)
        except (RedisError, OSError) as error:
            log.warning("limiter.redis_away", channel_id=str(channel_id), error=type(error).__name__)
