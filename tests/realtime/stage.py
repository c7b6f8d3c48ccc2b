"""One account on several hub processes: clients of both protocols, and what the rest of the product publishes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from domain.permissions import Role
from realtime.identity import Identity
from realtime.protocol import BASE, EXTENDED
from realtime.publish import Publication, Publisher
from tests.realtime import spark
from tests.realtime.cable import Client, Json, identifier, person
from tests.realtime.hub_process import HubProcess
from tests.realtime.support import WAIT_S

SPARK = identifier("SparkChannel", name="main")
GAUGE = identifier("GaugeChannel", name="main")


@dataclass
class Stage:
    """`hubs` share one Redis; the account is nobody else's."""

    hubs: list[HubProcess]
    redis: Redis
    account_id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.publisher = Publisher(self.redis)
        self._numbers = 0

    def person(self, role: Role = Role.OPERATOR, *, life_s: float = 900) -> Identity:
        return person(self.account_id, role, life_s=life_s)

    def stream(self, name: str = "main") -> str:
        return f"spark_{self.account_id}_{name}"

    async def publish(self, payload: object, name: str = "main", *, exclude_sid: str = "") -> int:
        """Publish to a stream of the account."""
        self._numbers += 1
        item = Publication(self.stream(name), f"e{self._numbers}", json.dumps(payload).encode(), exclude_sid)
        return (await self.publisher.publish_many([item]))[0]

    @contextlib.asynccontextmanager
    async def socket(
        self,
        hub: int = 0,
        *,
        who: Identity | None = None,
        protocol: str = EXTENDED,
        sid: str = "",
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> AsyncGenerator[tuple[Client, Json]]:
        """A client and its welcome, by the hub's number; `sid` is of the socket that it continues."""
        token = spark.mint(who or self.person())
        restore = f"&sid={sid}" if sid else ""
        async with connect(
            f"{self.hubs[hub].url}?jid={token}{restore}{query}", subprotocols=[Subprotocol(protocol)], compression=None,
            ping_interval=None, proxy=None, additional_headers=headers,
        ) as socket:  # fmt: skip
            client = Client(socket)
            yield client, await client.next()

    @contextlib.asynccontextmanager
    async def bare(
        self, hub: int = 0, *, protocol: str = EXTENDED, headers: dict[str, str] | None = None
    ) -> AsyncGenerator[Client]:
        """A client that brings no token but in its headers, and is not welcomed yet."""
        async with connect(
            self.hubs[hub].url, subprotocols=[Subprotocol(protocol)], compression=None, ping_interval=None, proxy=None,
            additional_headers=headers,
        ) as socket:  # fmt: skip
            yield Client(socket)

    @contextlib.asynccontextmanager
    async def client(self, hub: int = 0, *, who: Identity | None = None, base: bool = False) -> AsyncGenerator[Client]:
        """A welcomed client."""
        async with self.socket(hub, who=who, protocol=BASE if base else EXTENDED) as (client, welcome):
            assert welcome["type"] == "welcome"
            yield client

    async def drop(self, client: Client) -> None:
        """End a client's socket as a lost network does, and wait until its hub has let go of it."""
        client.socket.transport.abort()
        await client.socket.wait_closed()


async def frames_until(client: Client, kind: str) -> list[Json]:
    """Return the frames up to one of this type, which comes last."""
    frames = [await client.next()]
    while frames[-1].get("type") != kind:
        frames.append(await client.next())
    return frames


async def frames_of(client: Client, count: int) -> list[Json]:
    """Return so many frames."""
    return [await client.next() for _ in range(count)]


async def eventually(look: AsyncIterator[bool]) -> None:
    """Wait until an asynchronous look says yes."""
    async with asyncio.timeout(WAIT_S):
        async for seen in look:
            if seen:
                return
