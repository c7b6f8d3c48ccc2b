"""The peer of the hub: the `websockets` package's own server and broadcast(), fed by the same Redis. No channels, no
subscriptions, no history: what fan-out costs at least. `python -m bench.hub_peer <redis url> <port> <channel>`.
"""

from __future__ import annotations

import sys
from typing import cast

import uvloop
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main(redis_url: str, port: int, channel: str) -> None:
    """Serve until killed."""
    connections: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.send('{"type":"welcome"}')
        async for _ in connection:
            await connection.send('{"type":"confirm_subscription"}')
        connections.discard(connection)

    redis = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]
    listener = redis.pubsub()  # pyright: ignore[reportUnknownMemberType]
    await listener.subscribe(channel)
    async with serve(handle, "127.0.0.1", port, compression=None, ping_interval=None, backlog=4096):
        print(port, flush=True)
        while True:
            message = cast("dict[str, object] | None", await listener.get_message(timeout=60))
            if message is not None and message["type"] == "message":
                broadcast(connections, cast("bytes", message["data"]).decode())


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
