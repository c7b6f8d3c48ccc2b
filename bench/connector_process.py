"""A process that does nothing but hold one Discord connection, for bench/platforms.py, which looks at its memory.

`python -m bench.connector_process ORIGIN TOKEN`: says `imported`, connects at a line on standard input, says `connected`, and from
then on the number of chats whose place it knows, whenever that is a hundred more.
"""

from __future__ import annotations

import asyncio
import sys

import httpx2

from adapters.base import ChannelContext
from adapters.connectors import Connectors
from adapters.registry import Platforms


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(origin: str, token: str) -> None:
    """Hold it until the end."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        bases = {"discord": origin}
        Platforms(http, bases)
        connector = Connectors(http, bases).make("discord")
        say("imported")
        await asyncio.to_thread(sys.stdin.readline)
        channel = ChannelContext("c", {"bot_token": token}, {"groups": "all"}, {"id": "1"})
        connected = False
        seen: set[str] = set()
        async for heard in connector.run(channel, {}):
            if not connected:
                connected = True
                say("connected")
            seen.update(event.reply_to.chat for event in heard.events)
            if heard.events and len(seen) % 100 == 0:
                say(len(seen))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
