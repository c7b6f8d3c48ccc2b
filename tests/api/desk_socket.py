"""A socket at the hub of an api that runs in this process: what its client sends and gets, with the api's own look-ups."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any, cast
from uuid import uuid4

from fastapi import FastAPI

from api.socket import SocketDesk
from realtime.connection import Connection, ConnectionLimits
from realtime.consumer import Consumer
from realtime.hub import Hub
from tests.api.conftest import Person
from tests.realtime.support import WAIT_S

Json = dict[str, Any]


class DeskSocket:
    """One socket of somebody."""

    def __init__(self, hub: Hub, consumer: Consumer) -> None:
        self.hub = hub
        self.consumer = consumer
        self.frames: asyncio.Queue[Json] = asyncio.Queue()

    async def next(self) -> Json:
        """The next frame that is no ping."""
        async with asyncio.timeout(WAIT_S):
            while (frame := await self.frames.get()).get("type") == "ping":
                pass
        return frame

    async def message(self) -> Json:
        """The payload of the next data frame."""
        frame = await self.next()
        assert "message" in frame, frame
        return cast("Json", frame["message"])

    async def subscribe(self, name: str) -> Json:
        """Subscribe and return the answer."""
        await self.consumer.hear(json.dumps({"command": "subscribe", "identifier": name}))
        return await self.next()

    async def watch(self, name: str) -> list[Json]:
        """Subscribe and return what greets."""
        answer = await self.subscribe(name)
        assert answer["type"] == "confirm_subscription", answer
        return await self.settled()

    async def perform(self, name: str, action: str, **data: object) -> Json:
        """Perform an action and return the next payload."""
        text = json.dumps({"action": action, **data})
        await self.consumer.hear(json.dumps({"command": "message", "identifier": name, "data": text}))
        return await self.message()

    async def settled(self) -> list[Json]:
        """The payloads that still come before the answer to a ping of our own."""
        await self.consumer.hear(json.dumps({"command": "ping"}))
        found: list[Json] = []
        while (frame := await self.next()) != {"type": "pong"}:
            found.append(cast("Json", frame["message"]))
        return found


@contextlib.asynccontextmanager
async def desk_socket(app: FastAPI, hub: Hub, person: Person) -> AsyncGenerator[DeskSocket]:
    """A socket with this person's token."""
    desk = SocketDesk(app.state.services)
    identity = await desk.authenticate(str(person.client.headers["Authorization"]).removeprefix("Bearer "))
    opened: list[DeskSocket] = []

    async def send(text: str) -> None:
        opened[0].frames.put_nowait(json.loads(text))

    connection = Connection(uuid4().hex, identity, send, ConnectionLimits())
    consumer = Consumer(connection, hub, desk, desk.authenticate)
    opened.append(DeskSocket(hub, consumer))
    hub.enter(connection)
    writing = asyncio.create_task(connection.write())
    try:
        yield opened[0]
    finally:
        consumer.close()
        hub.leave(connection)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
