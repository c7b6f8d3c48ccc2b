"""`/cable` as a raw ASGI app: who may come in, then one reader, one consumer and one writer a socket.

api/app.py routes `/cable` to it. It holds no state but through the hub.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog

from domain.errors import AuthenticationError, UnavailableError
from realtime import protocol
from realtime.commands import Commands
from realtime.connection import NORMAL_CLOSURE, Connection
from realtime.consumer import Consumer, Inbound
from realtime.counters import Count
from realtime.errors import FrameError
from realtime.hub import Hub
from realtime.identity import Authenticate, Identity
from realtime.tasks import cancel_all

log = structlog.stdlib.get_logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TOKEN_PARAMS: Final = ("token", "jid")
_INBOX: Final = 64
"""Commands that may wait for the one before; then the socket is not read on, and the client feels it."""


class CableApp:
    """The ASGI app. Route it as an app, not as a function: `WebSocketRoute("/cable", endpoint=cable_app(…))`."""

    def __init__(
        self, hub: Hub, authenticate: Authenticate, commands: Commands, allowed_origins: Collection[str]
    ) -> None:
        self._hub = hub
        self._authenticate = authenticate
        self._commands = commands
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await _answer_http(send)
            return
        await receive()  # websocket.connect
        headers = _headers(scope)
        tokens = _tokens(scope, headers)
        _redact(scope)
        if not self._origin_allowed(headers):
            await self._refuse(scope, send, 403)
            return
        try:
            subprotocol = protocol.choose_protocol(scope.get("subprotocols", []))
        except FrameError:
            await self._refuse(scope, send, 400)
            return
        if not self._hub.accepting:
            await self._refuse(scope, send, 503)
            return
        try:
            async with asyncio.timeout(self._hub.settings.authenticate_timeout_s):
                identity = await self._identify(tokens)
        except AuthenticationError as error:
            self._hub.counters.add(Count.UNAUTHORIZED)
            await _turn_away(send, subprotocol, "token_expired" if error.expired else "unauthorized")
        except (UnavailableError, TimeoutError):
            await self._refuse(scope, send, 503)
        else:
            await self._serve(identity, subprotocol, receive, send)

    async def _identify(self, tokens: list[str]) -> Identity:
        if not tokens:
            raise AuthenticationError
        return await self._authenticate(tokens[0])

    def _origin_allowed(self, headers: Mapping[str, str]) -> bool:
        """Requests without an Origin come from no browser; a page of this very host is always welcome."""
        origin = headers.get("origin")
        if origin is None or "*" in self._origins or origin.lower() in self._origins:
            return True
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""

    async def _refuse(self, scope: Scope, send: Send, status: int) -> None:
        """Answer before the upgrade."""
        self._hub.counters.add(Count.REFUSED)
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": NORMAL_CLOSURE})
            return
        headers = [(b"retry-after", b"3")] if status == 503 else []
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b""})

    async def _serve(self, identity: Identity, subprotocol: str | None, receive: Receive, send: Send) -> None:
        async def send_text(text: str) -> None:
            await send({"type": "websocket.send", "text": text})

        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        sid = secrets.token_urlsafe(16)[:21]
        connection = Connection(sid, identity, send_text, self._hub.settings.connection)
        consumer = Consumer(connection, self._hub, self._commands)
        connection.push(protocol.welcome(sid))
        self._hub.enter(connection)
        try:
            gone = await _converse(connection, consumer, receive)
            if not gone:
                await _part(connection, send)
        finally:
            consumer.close()
            self._hub.leave(connection)
        if connection.ended.done():
            reason = connection.ended.result().reason
            self._count(reason)
            log.info("realtime.disconnected", sid=sid, user_id=str(identity.user_id), reason=reason)

    def _count(self, reason: str) -> None:
        if reason in {Count.TOO_SLOW, Count.TOKEN_EXPIRED}:
            self._hub.counters.add(Count(reason))


def cable_app(hub: Hub, authenticate: Authenticate, commands: Commands, allowed_origins: Collection[str]) -> CableApp:
    """Build the app for `/cable`. `allowed_origins`: scheme, host and port each, or `*`; the own host is always in."""
    return CableApp(hub, authenticate, commands, allowed_origins)


async def _converse(connection: Connection, consumer: Consumer, receive: Receive) -> bool:
    """Run until the client is gone (True) or we end it (False). Raises what the consumer raises."""
    inbox: asyncio.Queue[Inbound] = asyncio.Queue(_INBOX)
    reader = asyncio.create_task(_read(receive, inbox, consumer))
    writer = asyncio.create_task(connection.write())
    worker = asyncio.create_task(consumer.run(inbox))
    tasks = (reader, writer, worker)
    try:
        await asyncio.wait({*tasks, connection.ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all(tasks)
    for task in tasks:
        error = None if task.cancelled() else task.exception()
        # A server says that the client is gone by OSError, or by RuntimeError after it closed the socket itself.
        if error is not None and not (task is writer and isinstance(error, OSError | RuntimeError)):
            raise error
    return not connection.ended.done()


async def _read(receive: Receive, inbox: asyncio.Queue[Inbound], consumer: Consumer) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        consumer.newest += 1
        await inbox.put(Inbound(cast("str | None", message.get("text")), consumer.newest))


async def _part(connection: Connection, send: Send) -> None:
    ending = connection.ended.result()
    with suppress(TimeoutError, OSError, RuntimeError):
        await connection.farewell(ending)
        await send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})


async def _turn_away(send: Send, subprotocol: str | None, reason: str) -> None:
    """Browsers cannot read a refused upgrade, so accept, say why, close."""
    with suppress(OSError):
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        await send({"type": "websocket.send", "text": protocol.disconnect(reason, reconnect=False).text})
        await send({"type": "websocket.close", "code": NORMAL_CLOSURE, "reason": reason})


async def _answer_http(send: Send) -> None:
    headers = [(b"upgrade", b"websocket"), (b"connection", b"upgrade"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _tokens(scope: Scope, headers: Mapping[str, str]) -> list[str]:
    """Return the tokens offered, the best kept way first: sub-protocol, headers, query (which lands in access logs)."""
    offered = cast("list[str]", scope.get("subprotocols", []))
    found = [name.removeprefix(protocol.TOKEN_PREFIX) for name in offered if name.startswith(protocol.TOKEN_PREFIX)]
    found.append(headers.get("x-jid", ""))
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    found.append(credentials.strip() if scheme.lower() == "bearer" else "")
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    found += [query.get(name, "") for name in _TOKEN_PARAMS]
    return [token for token in found if token]


def _redact(scope: Scope) -> None:
    """Take the token out of the scope: the server logs the URL from it when the socket is accepted."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(name, "redacted" if name in _TOKEN_PARAMS else value) for name, value in pairs]
    scope["query_string"] = urlencode(kept).encode()
