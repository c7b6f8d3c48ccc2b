"""Telegram's long polling: updates wait until they are asked for, and go when a later one is.

https://core.telegram.org/bots/api#getupdates: an update is confirmed as soon as getUpdates is called with an offset higher than its
id; of two that ask at once the earlier is told 409 (tdlib/telegram-bot-api, Client.cpp). Updates of a bot with a webhook are
sent there (webhooks.py).
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from simulator.args import Args
from simulator.channel import Channel
from simulator.records import Json
from simulator.state import World


class Polls:
    """The questions that stand open, one a bot."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._asked: dict[str, int] = {}
        self._confirmed: dict[str, int] = {}

    async def wait(self, request: Request, channel: Channel, args: Args) -> bool:
        """Wait until there is an update, or the question's time is over; False when another asked meanwhile."""
        allowed = args.items("allowed_updates")
        if allowed is not None:
            channel.webhook.allowed_updates = [str(kind) for kind in allowed] or None
        waiting, gone = asyncio.create_task(self._wait(channel, args)), asyncio.create_task(_gone(request))
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.done() and waiting.result()
        finally:
            waiting.cancel()
            gone.cancel()
            await asyncio.gather(waiting, gone, return_exceptions=True)

    async def _wait(self, channel: Channel, args: Args) -> bool:
        mine = self._asked[channel.name] = self._asked.get(channel.name, 0) + 1
        self._confirmed[channel.name] = max(args.number("offset") or 0, self._confirmed.get(channel.name, 0))
        stream = channel.stream
        stream.wake()
        stream.listeners += 1
        self._world.changes.bump()
        try:
            async with asyncio.timeout(min(max(args.number("timeout") or 0, 0), 50)):
                while channel.webhook.url is None and not self._waiting(channel) and self._asked[channel.name] == mine:
                    await stream.changed()
        except TimeoutError:
            pass
        finally:
            stream.listeners -= 1
            self._world.changes.bump()
        return self._asked[channel.name] == mine

    def take(self, channel: Channel, args: Args) -> list[Json]:
        """Return what waits; it stays until it is confirmed."""
        return self._waiting(channel)[: min(max(args.number("limit") or 100, 1), 100)]

    def _waiting(self, channel: Channel) -> list[Json]:
        confirmed = self._confirmed.get(channel.name, 0)
        return [told.data for told in channel.stream.events if int(str(told.data["update_id"])) >= confirmed]


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
