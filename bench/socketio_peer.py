"""A peer of the hub that has rooms: python-socketio's AsyncServer under uvicorn, WebSocket transport, with its Redis manager.
`python -m bench.socketio_peer <redis url> <port> <room>`; its clients are read by bench/sockets.py as they come.
"""

from __future__ import annotations

import sys
from typing import Any

import socketio  # pyright: ignore[reportMissingTypeStubs] - it has its types inline
import uvicorn
import uvloop

EVENT = "bench"


async def main(redis_url: str, port: int, room: str) -> None:
    """Serve until killed."""
    manager = socketio.AsyncRedisManager(redis_url)
    server: Any = socketio.AsyncServer(
        async_mode="asgi", client_manager=manager, transports=["websocket"], ping_interval=3600, cors_allowed_origins=[]
    )

    async def subscribe(sid: str, _data: object) -> None:
        await server.enter_room(sid, room)
        await server.emit("confirm_subscription", {}, to=sid)

    server.on("subscribe", subscribe)
    config = uvicorn.Config(
        socketio.ASGIApp(server), host="127.0.0.1", port=port, log_level="warning", access_log=False, backlog=4096,
        ws="websockets-sansio", ws_per_message_deflate=False, ws_ping_interval=None,
    )  # fmt: skip
    serving = uvicorn.Server(config)
    print(port, flush=True)
    await serving.serve()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
