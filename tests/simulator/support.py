"""A webhook receiver on a real socket that answers as it is told, and small names for what tests say often."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx2
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from simulator.client import SimulatorClient
from simulator.discord_keys import public_key

HOLD: tuple[int, dict[str, str], bytes] = (-1, {}, b"")
"""Answer only when `Hook.gate` is set."""


def failure(status: int = 500, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, b""


@dataclass
class Request:
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return orjson.loads(self.body)


@dataclass
class Hook:
    """Answers `answers` one after the other, then `usual`."""

    url: str = ""
    answers: deque[tuple[int, dict[str, str], bytes]] = field(default_factory=deque)
    usual: tuple[int, dict[str, str], bytes] = (200, {}, b"")
    requests: list[Request] = field(default_factory=list)
    handshakes: list[dict[str, str]] = field(default_factory=list)
    public_key: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait(self, count: int) -> list[Request]:
        async with asyncio.timeout(30), self._came:
            await self._came.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if body.startswith(b'{"id":"1",') and b'"type":1,' in body:
                    writer.write(self._pong(headers, body))
                elif head[0].startswith("GET "):
                    writer.write(self._challenge(head[0]))
                else:
                    writer.write(await self._answer(Request(headers, body)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _challenge(self, line: str) -> bytes:
        """Answer a handshake by GET, as a receiver that knows every verify token."""
        query = parse_qs(urlsplit(line.split(" ")[1]).query)
        self.handshakes.append({name: values[0] for name, values in query.items()})
        body = query["hub.challenge"][0].encode()
        return f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    def _pong(self, headers: dict[str, str], body: bytes) -> bytes:
        """Answer a PING as a receiver that checks the signature."""
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
        signed = headers["x-signature-timestamp"].encode() + body
        try:
            key.verify(bytes.fromhex(headers["x-signature-ed25519"]), signed)
        except InvalidSignature:
            return b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
        self.handshakes.append({"pong": "1"})
        return b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"type":1}'

    async def _answer(self, request: Request) -> bytes:
        answer = self.answers.popleft() if self.answers else self.usual
        async with self._came:
            self.requests.append(request)
            self._came.notify_all()
        if answer is HOLD:
            await self.gate.wait()
            answer = self.usual
        status, headers, body = answer
        lines = [f"HTTP/1.1 {status} Said", f"content-length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def running_hook() -> AsyncGenerator[Hook]:
    hook = Hook()
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    hook.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield hook
    finally:
        hook.gate.set()
        server.close()


@dataclass
class Bot:
    """One registered channel and its calls, as an adapter would make them."""

    sim: SimulatorClient
    http: httpx2.AsyncClient
    name: str
    token: str
    secret: str
    hook: Hook
    platform: str

    async def call(self, method: str, **args: Any) -> dict[str, Any]:
        return (await self.raw(method, **args)).json()

    async def raw(self, method: str, **args: Any) -> httpx2.Response:
        if self.token.startswith("xoxb"):
            headers = {"Authorization": f"Bearer {self.token}"}
            return await self.http.post(f"{self.sim.origin}/api/{method}", json=args, headers=headers)
        return await self.http.post(f"{self.sim.origin}/bot{self.token}/{method}", json=args)

    async def chat_with(self, person: str) -> str:
        return (await self.sim.post("people", {"channel": self.name, "name": person}))["chat"]

    @property
    def credentials(self) -> dict[str, str]:
        return credentials_of(self.platform, self.token, self.secret)

    async def register(self, **options: Any) -> None:
        await self.sim.register(self.platform, self.name, self.hook.url, self.credentials, **options)


def credentials_of(platform: str, token: str, secret: str) -> dict[str, str]:
    """Return what an adapter and the simulator are both given."""
    if platform == "slack":
        return {"bot_token": token, "signing_secret": secret, "app_token": f"xapp-{secret}"}
    if platform == "whatsapp":
        number = f"1{sum(token.encode()):05d}{int(secret[-8:], 16)}"
        return {"access_token": token, "app_secret": secret, "phone_number_id": number, "verify_token": f"v-{secret}"}
    if platform == "mattermost":
        tokens = {"webhook_token": secret, "command_token": f"c-{secret}"}
        return {"site_url": "https://mattermost.invalid", "bot_token": token, **tokens}
    if platform == "discord":
        return {"bot_token": token, "public_key": public_key(token)}
    return {"bot_token": token, "webhook_secret": secret}


async def new_bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook, platform: str, **options: Any) -> Bot:
    mark = uuid4()
    token = {"slack": f"xoxb-{mark.hex}", "telegram": f"{mark.int % 10**9 + 1}:{mark.hex}"}.get(platform, mark.hex)
    bot = Bot(sim, http, f"{platform}-{mark.hex[:8]}", token, f"secret-{mark.hex}", hook, platform)
    hook.public_key = bot.credentials.get("public_key", "")
    await bot.register(**options)
    return bot
