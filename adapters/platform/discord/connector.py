"""All connections of a bot to Discord's gateway as one: as many as Discord advises, or as `configuration.shards` says.

A bot in more than 2,500 servers must split them over connections ("shards"); each is a socket of its own with a session of
its own (shard.py). They share one holder, which therefore knows when each began its session: the limit on new sessions needs
no clock that workers would have to share (docs/adr/0010). Position: see sessions.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from adapters.base import ChannelContext
from adapters.connectors import Backoff, ConnectorStoppedError, Heard, register_connector
from adapters.platform.discord.door import NEW_SESSION_EVERY_S, Door, ReconnectError
from adapters.platform.discord.sessions import Session, has_session, shards_of
from adapters.platform.discord.shard import Shard, TooFewShardsError
from adapters.registry import Outside

_TOO_FEW: Final = "The bot is in so many servers that Discord wants more connections"
_Said = asyncio.Queue[tuple[int, Heard] | Exception]


@register_connector("discord")
class DiscordGateway:
    """The connector; see adapters/connectors.py."""

    def __init__(self, outside: Outside, backoff: Backoff | None = None) -> None:
        self._outside = outside
        self._backoff = backoff or Backoff()
        self._door = Door(outside, NEW_SESSION_EVERY_S * self._backoff.first_s)

    async def run(self, channel: ChannelContext, position: Mapping[str, str]) -> AsyncIterator[Heard]:
        """Listen for ever. Raises ConnectorStoppedError."""
        too_few = 0
        while True:
            try:
                shards = await self._shards(channel, position, too_few)
            except ReconnectError as over:
                yield Heard(b"", (), position, "Discord cannot be reached")
                await asyncio.sleep(max(over.wait_s, self._backoff.wait_s()))
                continue
            self._backoff.reset()
            try:
                async with aclosing(self._together(channel, position, shards)) as together:
                    async for heard in together:
                        position = heard.position
                        yield heard
            except TooFewShardsError:
                too_few = shards

    async def _shards(self, channel: ChannelContext, position: Mapping[str, str], too_few: int) -> int:
        """Return how many connections to make. Sessions that can be resumed keep their number: a new one costs them."""
        wanted = channel.configuration.get("shards")
        if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
            if wanted <= too_few:
                raise ConnectorStoppedError(f"{_TOO_FEW} than the {wanted} that configuration.shards allows")
            return wanted
        if has_session(position) and shards_of(position) > too_few:
            return shards_of(position)
        advised = await self._door.advised(channel)
        if advised <= too_few:
            raise ConnectorStoppedError(f"{_TOO_FEW} than the {advised} that it advises")
        return advised

    async def _together(
        self, channel: ChannelContext, position: Mapping[str, str], shards: int
    ) -> AsyncGenerator[Heard]:
        """Yield what all connections hear. A position holds what was yielded, of every connection, and nothing more."""
        sessions = [Session.of(position, number, shards) for number in range(shards)]
        stands: dict[int, Mapping[str, str]] = {session.shard: session.position() for session in sessions}
        missing = set(stands)
        said: _Said = asyncio.Queue(maxsize=1)
        tasks = [asyncio.create_task(self._listen(channel, session, said)) for session in sessions]
        try:
            while True:
                one = await said.get()
                if isinstance(one, Exception):
                    raise one
                number, heard = one
                stands[number] = heard.position
                trouble = heard.trouble
                if trouble is None:
                    missing.discard(number)
                else:
                    missing.add(number)
                    trouble = trouble if shards == 1 else f"{trouble} (connection {number + 1} of {shards})"
                yield replace(heard, position=_joined(stands), trouble=trouble, whole=not missing)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, channel: ChannelContext, session: Session, said: _Said) -> None:
        backoff = Backoff(self._backoff.first_s, self._backoff.largest_s)
        try:
            async for heard in Shard(self._outside, backoff, self._door, session).run(channel):
                await said.put((session.shard, heard))
        except Exception as error:
            await said.put(error)
            raise


def _joined(stands: Mapping[int, Mapping[str, str]]) -> Mapping[str, str]:
    if len(stands) == 1:
        return stands[0]
    return {name: value for one in stands.values() for name, value in one.items()}
