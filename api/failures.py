"""Failures per address: wrong passwords, unknown webhook tokens, wrong signatures. Nothing verified ever counts here.

A sliding window in Redis; while Redis is away there is none. `X-Forwarded-For` counts only behind trusted proxies.
"""

from __future__ import annotations

import time
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import HTTPConnection

from domain.errors import RateLimitedError

WINDOW_S: Final = 60
WEBHOOKS_PER_MINUTE: Final = 100
"""Refused webhooks from one address before it is told 429 instead of the reason."""


class Failures:
    """One per process."""

    def __init__(self, redis: Redis, kind: str) -> None:
        self._redis = redis
        self._kind = kind

    async def add(self, ip: str) -> None:
        """Count one."""
        now = time.time()
        key = f"failures:{self._kind}:{ip}"
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zadd(key, {f"{now:.6f}": now})
                pipe.zremrangebyscore(key, "-inf", now - WINDOW_S)
                pipe.expire(key, WINDOW_S)
                await pipe.execute()
        except (RedisError, OSError):
            return

    async def count(self, ip: str) -> int:
        """Return how many there were in the last minute."""
        try:
            found: int = await self._redis.zcount(f"failures:{self._kind}:{ip}", time.time() - WINDOW_S, "+inf")
        except (RedisError, OSError):
            return 0
        return found

    async def refused(self, ip: str, error: Exception) -> None:
        """Count a refused webhook. Raises RateLimitedError for an address with too many, instead of the reason."""
        if await self.count(ip) >= WEBHOOKS_PER_MINUTE:
            raise RateLimitedError("Too many refused webhooks from this address", retry_after_s=WINDOW_S) from error
        await self.add(ip)


def client_ip(request: HTTPConnection, trusted: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """Return the caller's address: the last hop that is not one of our own proxies."""
    peer = request.client.host if request.client else "0.0.0.0"  # noqa: S104 - a name for nobody, not a bind
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    address = peer
    while hops and _is_trusted(address, trusted):
        address = hops.pop()
    return address


def _is_trusted(address: str, trusted: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)
