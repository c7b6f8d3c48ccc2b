"""An app of the tests behind a real uvicorn on a loopback port, as `powernode api` serves it; and clients of its `/cable`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator

import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from realtime.protocol import EXTENDED
from realtime.wire import CableProtocol
from tests.api.conftest import Person
from tests.realtime.cable import Client, Json
from tests.realtime.support import until


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # the test run keeps its own handlers


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncGenerator[int]:
    """Serve and return the port. Without a lifespan: the fixture `hub` opens what the test needs of it."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ws=CableProtocol, lifespan="off", log_config=None, ws_per_message_deflate=False,
        ws_ping_interval=None, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started, "the server's start")
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await running


@contextlib.asynccontextmanager
async def cable(
    port: int, person: Person, *, sid: str = "", protocol: str = EXTENDED
) -> AsyncGenerator[tuple[Client, Json]]:
    """A socket of somebody who is logged in, and its welcome; `sid` is of the one that it continues."""
    token = person.client.headers["Authorization"].partition(" ")[2]
    restore = f"&sid={sid}" if sid else ""
    async with connect(
        f"ws://127.0.0.1:{port}/cable?jid={token}{restore}", subprotocols=[Subprotocol(protocol)], compression=None,
        ping_interval=None, proxy=None,
    ) as socket:  # fmt: skip
        client = Client(socket)
        yield client, await client.next()
