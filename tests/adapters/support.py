"""A scripted HTTP server on a real socket: it answers, stalls, drops or cuts off, as the outside world does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from adapters.base import MediaSource
from adapters.downloads import Downloads, Limits
from adapters.guard import Guard, places_of


@dataclass(frozen=True)
class Reply:
    """An answer. `cut_after`: send only so many bytes of the body, then close."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut_after: int | None = None

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode()


@dataclass(frozen=True)
class Drop:
    """Take the request, close without an answer."""


@dataclass(frozen=True)
class Stall:
    """Take the request, never answer."""


@dataclass(frozen=True)
class Received:
    """A request that arrived whole."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> dict[str, object]:
        return json.loads(self.body)


@dataclass
class FakeServer:
    """Answers requests in the order of `script`; the last line repeats."""

    script: list[Reply | Drop | Stall] = field(default_factory=list["Reply | Drop | Stall"])
    received: list[Received] = field(default_factory=list[Received])
    connections: int = 0
    bytes_in: int = 0
    origin: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def will(self, *script: Reply | Drop | Stall) -> None:
        self.script = list(script)

    def reply(self, method: str, target: str, body: bytes) -> Reply | Drop | Stall:
        """Return what a request gets: the script's next line."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer, number):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        start = await reader.readexactly(1)
        if start == b"\x16":
            # A TLS handshake: this server speaks plain HTTP only.
            return False
        head = start + await reader.readuntil(b"\r\n\r\n")
        self.bytes_in += len(head)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = first.split(" ")
        self.received.append(Received(method, target, headers, body, number))
        self.arrived.set()
        line = self.reply(method, target, body)
        if isinstance(line, Drop):
            return False
        if isinstance(line, Stall):
            await self.closing.wait()
            return False
        content = line.encoded()
        given = {"content-type": "application/json", "content-length": str(len(content))} | line.headers
        if "transfer-encoding" in given:
            del given["content-length"]
        text = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        writer.write(f"HTTP/1.1 {line.status} X\r\n{text}\r\n".encode() + content[: line.cut_after])
        await writer.drain()
        return line.cut_after is None


async def downloaded(origin: str, source: MediaSource) -> bytes:
    """Download a file that an adapter located, as the worker does."""
    downloads = Downloads(Guard(places_of([origin])))
    try:
        async with downloads.open(source, Limits(1_000_000, total_s=10)) as found:
            return b"".join([chunk async for chunk in found.chunks])
    finally:
        await downloads.close()


@asynccontextmanager
async def fake_server(fake: FakeServer | None = None) -> AsyncGenerator[FakeServer]:
    """Serve on a free port of the loopback until the block ends."""
    fake = fake or FakeServer()
    server = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    fake.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        fake.closing.set()
        server.close()
        await server.wait_closed()
