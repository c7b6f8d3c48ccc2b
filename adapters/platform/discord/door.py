"""The way into Discord's gateway, which all connections of a bot share: its address, how many connections it advises, and
whose turn it is to begin a session.

`GET /gateway/bot` and *Rate limiting* at https://docs.discord.com/developers/events/gateway: one new session in five seconds for
each of `max_concurrency` rate limit keys (`shard % max_concurrency`), and `session_start_limit` a day. Resumed ones are free.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, cast

from adapters.base import ChannelContext, ErrorClass, Refused
from adapters.connectors import ConnectorStoppedError
from adapters.http import Call, call
from adapters.platform.discord.api import api_base, authorization
from adapters.platform.discord.errors import result_of
from adapters.registry import Outside

NEW_SESSION_EVERY_S: Final = 5.5
"""Five seconds where Discord counts; ours reach it by a way that is not always as long."""


class ReconnectError(Exception):
    """The connection is over, or cannot be made just now; `fresh`: its session is over too."""

    def __init__(self, *, fresh: bool = False, wait_s: float = 0.0) -> None:
        super().__init__("reconnect")
        self.fresh = fresh
        self.wait_s = wait_s


@dataclass(slots=True)
class _Bucket:
    """A rate limit key. `at`: when its last session was begun, by the loop's clock."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float | None = None


class Door:
    """One for all connections of a bot. `every_s`: the pause between two new sessions of a key."""

    def __init__(self, outside: Outside, every_s: float = NEW_SESSION_EVERY_S) -> None:
        self._outside = outside
        self._every_s = every_s
        self._keys = 1
        self._buckets: dict[int, _Bucket] = {}

    async def advised(self, channel: ChannelContext) -> int:
        """Return how many connections Discord advises. Raises as `address`."""
        shards = (await self._ask(channel)).get("shards")
        return shards if isinstance(shards, int) and shards > 0 else 1

    async def address(self, channel: ChannelContext) -> str:
        """Return the gateway's address for a new session. Raises ReconnectError, ConnectorStoppedError."""
        answer = await self._ask(channel)
        left = _limit(answer)
        after_ms = left.get("reset_after")
        if left.get("remaining") == 0 and isinstance(after_ms, int):
            # Identifying more often than allowed makes Discord reset the bot's token.
            raise ReconnectError(wait_s=after_ms / 1000)
        return str(answer.get("url") or "")

    @asynccontextmanager
    async def turn(self, shard: int) -> AsyncGenerator[None]:
        """Begin a session within the block: one after the other, each so long after the last."""
        bucket = self._buckets.setdefault(shard % self._keys, _Bucket())
        async with bucket.lock:
            loop = asyncio.get_running_loop()
            if bucket.at is not None:
                await asyncio.sleep(max(0.0, bucket.at + self._every_s - loop.time()))
            yield
            bucket.at = loop.time()

    async def _ask(self, channel: ChannelContext) -> dict[str, object]:
        url = f"{api_base(self._outside)}/gateway/bot"
        answer = result_of(await call(self._outside.http, Call(url, method="GET", headers=authorization(channel))))
        if isinstance(answer, Refused) and answer.error_class is ErrorClass.CHANNEL_BROKEN:
            raise ConnectorStoppedError(answer.message)
        if not isinstance(answer, dict):
            wait_s = answer.retry_after_s if isinstance(answer, Refused) else None
            raise ReconnectError(wait_s=wait_s or 0.0)
        keys = _limit(answer).get("max_concurrency")
        self._keys = keys if isinstance(keys, int) and keys > 0 else 1
        return answer


def _limit(answer: dict[str, object]) -> dict[str, object]:
    limit = answer.get("session_start_limit")
    return cast("dict[str, object]", limit) if isinstance(limit, dict) else {}
