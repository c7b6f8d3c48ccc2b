"""The api of a test behind a real uvicorn on a loopback port, and sockets of the people who are logged in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import cast

import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from realtime.wire import CableProtocol
from tests.api.conftest import Person
from tests.realtime.cable import BASE, Client, Json, Server
from tests.realtime.support import until


@dataclass(frozen=True)
class Live:
    """A served app; its hub must be open."""

    port: int

    @contextlib.asynccontextmanager
    async def client(self, person: Person) -> AsyncGenerator[Client]:
        """Open a welcomed socket."""
        token = person.client.headers["Authorization"].removeprefix("Bearer ")
        url = f"ws://127.0.0.1:{self.port}/cable?token={token}"
        protocols = [Subprotocol(BASE)]
        async with connect(url, subprotocols=protocols, compression=None, ping_interval=None, proxy=None) as socket:
            client = Client(socket)
            assert (await client.next())["type"] == "welcome"
            yield client


async def entered(client: Client, name: str) -> list[Json]:
    """Subscribe, and return what greets."""
    answer = await client.subscribe(name)
    assert answer["type"] == "confirm_subscription", answer
    return [cast("Json", frame["message"]) for frame in await client.settled()]


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncGenerator[Live]:
    """Serve an app whose lifespan is the test's business."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ws=CableProtocol, lifespan="off", log_config=None, ws_per_message_deflate=False,
        ws_ping_interval=None, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started, "the server's start")
        yield Live(int(server.servers[0].sockets[0].getsockname()[1]))
    finally:
        server.should_exit = True
        await serving
