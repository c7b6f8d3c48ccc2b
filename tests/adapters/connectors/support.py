"""A connector listening to the simulator, with everything it heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx2

from adapters.base import ChannelContext
from adapters.connectors import Connector, ConnectorStoppedError, Heard
from domain.message import InboundEvent
from simulator.client import SimulatorClient
from tests.simulator.support import Bot


@dataclass
class Ear:
    """What a connector said so far."""

    bot: Bot
    heard: list[Heard] = field(default_factory=list[Heard])
    ended: BaseException | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def events(self) -> list[InboundEvent]:
        return [event for one in self.heard for event in one.events]

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events if event.ignored is None]

    @property
    def position(self) -> Mapping[str, str]:
        return self.heard[-1].position if self.heard else {}

    async def listen(self, connector: Connector, channel: ChannelContext, position: Mapping[str, str]) -> None:
        try:
            async for heard in connector.run(channel, position):
                async with self._changed:
                    self.heard.append(heard)
                    self._changed.notify_all()
        except ConnectorStoppedError as error:
            self.ended = error
            async with self._changed:
                self._changed.notify_all()

    async def until_texts(self, *texts: str) -> None:
        """Wait until all of these were said, in whatever order."""
        async with asyncio.timeout(8), self._changed:
            await self._changed.wait_for(lambda: set(texts) <= set(self.texts) or self.ended is not None)

    async def until(self, count: int) -> list[InboundEvent]:
        async with asyncio.timeout(8), self._changed:
            await self._changed.wait_for(lambda: len(self.events) >= count or self.ended is not None)
        return self.events

    async def until_ended(self) -> BaseException:
        async with asyncio.timeout(8), self._changed:
            await self._changed.wait_for(lambda: self.ended is not None)
        assert self.ended is not None
        return self.ended


async def listeners(sim: SimulatorClient, bot: Bot, count: int) -> None:
    """Wait until so many sockets are open."""
    found = await sim.get("sockets", channel=bot.name, listeners=count, timeout_s=8)
    assert found["listeners"] == count


async def order(bot: Bot, what: str) -> None:
    await bot.sim.post("sockets", {"channel": bot.name, "order": what})


@asynccontextmanager
async def listening(
    bot: Bot, connector: Connector, channel: ChannelContext, position: Mapping[str, str] | None = None
) -> AsyncGenerator[Ear]:
    """Run a connector until the block ends."""
    ear = Ear(bot)
    task = asyncio.create_task(ear.listen(connector, channel, position or {}))
    try:
        yield ear
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def client() -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        yield http
