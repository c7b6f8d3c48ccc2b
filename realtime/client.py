"""The Redis client that the hub and the publisher want, and the ways to ask it: short time-outs, bytes in and out.

`api/app.py` and `worker.py` build one each and hand it down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import NoScriptError

Command = tuple[str | bytes | int, ...]
TIMEOUT_S = 3.0
RETRIES = 2


def redis_client(url: str, *, max_connections: int = 64) -> Redis:
    """Return a client that connects at first use. Repeating is safe: whatever the hub sends is idempotent or passing."""
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # redis-py leaves **kwargs untyped
        url,
        max_connections=max_connections,
        protocol=2,
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.3), RETRIES),
    )


async def ask(redis: Redis, *command: str | bytes | int) -> object:
    """Run one command. Raises RedisError or OSError."""
    return cast("object", await redis.execute_command(*command))  # pyright: ignore[reportUnknownMemberType]


async def ask_many(redis: Redis, commands: Sequence[Command], *, atomic: bool = False) -> list[object]:
    """Run commands in one round trip, in order. Shape: one answer a command, a refused one's is its ResponseError.

    Raises RedisError or OSError when the connection fails, and for any refusal inside an atomic run.
    """
    async with redis.pipeline(transaction=atomic) as pipe:
        for command in commands:
            pipe.execute_command(*command)  # pyright: ignore[reportUnknownMemberType]
        return cast("list[object]", await pipe.execute(raise_on_error=atomic))


class Script:
    """A server-side script, sent whole only when the server does not know it: after a restart, or the first time."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.sha = hashlib.sha1(text, usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, keys: Sequence[str], *arguments: str | bytes | int) -> object:
        """Run it. Raises RedisError or OSError."""
        try:
            return await ask(redis, "EVALSHA", self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await ask(redis, "EVAL", self.text, len(keys), *keys, *arguments)
