"""A hub behind a real uvicorn on a loopback port, a client that speaks the protocol, and the ports a hub is built with."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from domain.errors import AuthenticationError, PowernodeError, UnavailableError
from domain.permissions import ROLE_PERMISSIONS, Role
from domain.views import ChannelSummaryView, SessionView
from realtime.admission import CommandRates, Rate
from realtime.broker import BrokerTiming
from realtime.channel import ConversationRef
from realtime.commands import Order
from realtime.connection import ConnectionLimits
from realtime.door import Door
from realtime.events import EventsApp
from realtime.hub import Hub
from realtime.identity import Identity
from realtime.limits import HubSettings
from realtime.publish import Publisher
from realtime.server import CableApp
from realtime.subscriber import SubscriberTiming
from realtime.wire import CableProtocol
from tests.realtime.support import WAIT_S, until

Json = dict[str, object]
V = TypeVar("V")
R = TypeVar("R")
BASE = "actioncable-v1-json"
FAST_BROKER = BrokerTiming(
    subscribe_timeout_s=2, linger_s=0, retry_s=0.02,
    subscriber=SubscriberTiming(canary_period_s=0.1, deaf_after_s=3, first_backoff_s=0.01, max_backoff_s=0.05),
)  # fmt: skip
UNHURRIED = CommandRates(*(Rate(10_000, 10_000),) * 4)
QUIET = HubSettings(ping_interval_s=60, broker=FAST_BROKER, rates=UNHURRIED)
"""No pings in between, so that a test may count frames; no waiting for one's turn."""


def person(account_id: UUID, role: Role = Role.OPERATOR, *, life_s: float = 900) -> Identity:
    return Identity(
        user_id=uuid4(),
        account_id=account_id,
        name="Ada",
        email="ada@example.test",
        permissions=frozenset(permission.value for permission in ROLE_PERMISSIONS[role]),
        expires_at=datetime.now(UTC) + timedelta(seconds=life_s),
        token_id=uuid4().hex,
    )


def session_view(session_id: UUID, channel_id: UUID, version: int = 1) -> SessionView:
    now = datetime.now(UTC)
    return SessionView(
        id=session_id, channel_id=channel_id, platform="tin_can", platform_user_id="u1", platform_username="alice",
        status="active", owner="ai", message_count=0, assigned_agent=None, ai_conversation_id=uuid4(),
        last_activity_at=now, created_at=now, version=version,
    )  # fmt: skip


def channel_view(channel_id: UUID) -> ChannelSummaryView:
    return ChannelSummaryView(
        id=channel_id, platform="tin_can", name="Desk", status="connected", message_count=0, session_count=0,
        default_agent=None, connected_at=None, last_message_at=None, version=1,
    )  # fmt: skip


@dataclass
class Shelf:
    """Resources of several accounts, in memory; `hold` makes look-ups wait, `away` makes them fail."""

    things: dict[tuple[UUID, type, str], object] = field(default_factory=dict[tuple[UUID, type, str], object])
    free: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    away: bool = False

    def __post_init__(self) -> None:
        self.free.set()

    def add_session(self, account_id: UUID) -> UUID:
        view = session_view(uuid4(), uuid4())
        self.put(account_id, str(view.id), view)
        return view.id

    def add_channel(self, account_id: UUID) -> UUID:
        view = channel_view(uuid4())
        self.put(account_id, str(view.id), view)
        return view.id

    def add_conversation(self, account_id: UUID) -> ConversationRef:
        ref = ConversationRef(uuid4(), f"conv_{uuid4().hex[:8]}")
        for key in (str(ref.id), ref.public_id):
            self.put(account_id, key, ref)
        return ref

    def put(self, account_id: UUID, key: str, thing: object) -> None:
        """Let an account have a thing, to be found by this key."""
        self.things[account_id, type(thing), key] = thing

    async def find(self, kind: type[V], account_id: UUID, key: str) -> V | None:
        await self._look()
        return cast("V | None", self.things.get((account_id, kind, key)))

    async def _look(self) -> None:
        self.asked += 1
        if self.away:
            raise UnavailableError("The database does not answer")
        await self.free.wait()


@dataclass
class Orders:
    """Orders that came through; `refusal` is raised instead when set, `answers` are given by type."""

    given: list[Order[Any]] = field(default_factory=list[Order[Any]])
    answers: dict[type, object] = field(default_factory=dict[type, object])
    refusal: PowernodeError | None = None

    async def run(self, identity: Identity, order: Order[R]) -> R:
        if self.refusal is not None:
            raise self.refusal
        self.given.append(order)
        return cast("R", self.answers.get(type(order)))


class Client:
    """One socket. `frames` are all but pings, in the order they came."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.pings: list[Json] = []

    async def next(self) -> Json:
        """The next frame that is no ping."""
        async with asyncio.timeout(WAIT_S):
            while True:
                text = await self.socket.recv()
                assert isinstance(text, str), "the protocol has text frames only"
                frame = cast("Json", json.loads(text))
                if frame.get("type") != "ping":
                    return frame
                self.pings.append(frame)

    async def send(self, **command: object) -> None:
        await self.socket.send(json.dumps(command))

    async def subscribe(self, identifier: str) -> Json:
        """Subscribe and return the answer."""
        await self.send(command="subscribe", identifier=identifier)
        return await self.next()

    async def perform(self, identifier: str, action: str, **data: object) -> None:
        await self.send(command="message", identifier=identifier, data=json.dumps({"action": action, **data}))

    async def message(self) -> object:
        """The payload of the next data frame."""
        frame = await self.next()
        assert "type" not in frame, frame
        return frame["message"]

    async def settled(self) -> list[Json]:
        """Everything that still comes before the answer to a ping of our own."""
        await self.send(command="ping")
        frames: list[Json] = []
        while (frame := await self.next()) != {"type": "pong"}:
            frames.append(frame)
        return frames

    async def until_closed(self) -> tuple[list[Json], int]:
        """All frames up to the end, and the close code."""
        frames: list[Json] = []
        try:
            while True:
                frames.append(await self.next())
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code if closed.rcvd else 0


@dataclass
class Cable:
    """A running hub with its ports."""

    hub: Hub
    server: uvicorn.Server
    port: int
    publisher: Publisher
    shelf: Shelf
    orders: Orders
    account_id: UUID
    tokens: dict[str, Identity]
    redis: Redis

    def token(self, identity: Identity) -> str:
        token = f"t.{uuid4().hex}"
        self.tokens[token] = identity
        return token

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/cable"

    @contextlib.asynccontextmanager
    async def raw(
        self,
        query: str = "",
        *,
        protocols: Sequence[str] = (BASE,),
        headers: dict[str, str] | None = None,
        origin: str | None = None,
    ) -> AsyncGenerator[Client]:
        async with connect(
            self.url + query,
            subprotocols=[Subprotocol(name) for name in protocols] or None,
            additional_headers=headers,
            origin=Origin(origin) if origin else None,
            compression=None,
            ping_interval=None,
            proxy=None,
        ) as socket:
            yield Client(socket)

    @contextlib.asynccontextmanager
    async def client(self, identity: Identity | None = None) -> AsyncGenerator[Client]:
        """A welcomed client, an operator of the account unless told."""
        token = self.token(identity or person(self.account_id))
        async with self.raw(f"?token={token}") as client:
            welcome = await client.next()
            assert welcome["type"] == "welcome"
            yield client

    async def authenticate(self, token: str) -> Identity:
        identity = self.tokens.get(token)
        if identity is None:
            raise AuthenticationError
        if identity.expires_at <= datetime.now(UTC):
            raise AuthenticationError("Token expired", expired=True)
        return identity


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # the test run keeps its own handlers


def identifier(channel: str, **params: object) -> str:
    return json.dumps({"channel": channel, **params})


@contextlib.asynccontextmanager
async def running_cable(
    redis: Redis,
    settings: HubSettings = QUIET,
    *,
    origins: Sequence[str] = ("https://desk.example.test",),
    wire: bool = True,
    things: Shelf | None = None,
) -> AsyncGenerator[Cable]:
    shelf, orders = things or Shelf(), Orders()
    hub = Hub(redis, shelf, settings=settings)
    app = Starlette()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ws=CableProtocol if wire else "websockets-sansio", lifespan="off", log_config=None,
        ws_per_message_deflate=False, ws_ping_interval=None, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = Server(config)
    cable = Cable(hub, server, 0, Publisher(redis), shelf, orders, uuid4(), {}, redis)
    door = Door(hub, cable.authenticate, origins)
    app.routes.append(WebSocketRoute("/cable", CableApp(hub, door, orders)))
    app.routes.append(Route("/events", EventsApp(hub, door, orders)))
    await hub.start()
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started and hub.accepting, "the server's start")
        cable.port = int(server.servers[0].sockets[0].getsockname()[1])
        yield cable
    finally:
        server.should_exit = True
        await serving
        await hub.stop()


def impatient(**limits: float) -> HubSettings:
    """Settings with short limits for one connection."""
    return HubSettings(
        ping_interval_s=60,
        broker=FAST_BROKER,
        connection=ConnectionLimits(
            outbox_bytes=int(limits.get("outbox_bytes", 1024 * 1024)),
            stall_s=limits.get("stall_s", 10),
            farewell_s=limits.get("farewell_s", 2),
        ),
    )
