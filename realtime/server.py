"""`/cable` as a raw ASGI app: who may come in, then one reader, one consumer and one writer a socket.

api/app.py routes `/cable` to it. It holds no state but through the hub.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import structlog

from domain.errors import AuthenticationError, UnavailableError
from realtime import frames, protocol, upgrade
from realtime.commands import Commands
from realtime.connection import NORMAL_CLOSURE, Connection, Wire
from realtime.consumer import Consumer
from realtime.counters import Count
from realtime.door import LATER, Door
from realtime.errors import FrameError
from realtime.hub import Hub
from realtime.identity import Identity
from realtime.tasks import cancel_all
from realtime.upgrade import Scope
from realtime.wheel import PRECISIONS
from realtime.wire import EXTENSION

log = structlog.stdlib.get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_RESTORE_HEADER: Final = "x-anycable-restore-sid"
_MAX_SID_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What counts of how a socket came, once it is in: `former_sid` is of the socket that it continues."""

    address: str
    subprotocol: str | None
    former_sid: str
    ping_every_s: float | None
    precision: int
    wire: Wire | None


class CableApp:
    """The ASGI app. Route it as an app, not as a function: `WebSocketRoute("/cable", endpoint=CableApp(…))`."""

    def __init__(self, hub: Hub, door: Door, commands: Commands) -> None:
        self._hub = hub
        self._door = door
        self._commands = commands

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await _answer_http(send)
            return
        await receive()  # websocket.connect
        tokens, status, arrival = self._look(scope)
        if status:
            await self._refuse(scope, send, status)
            return
        try:
            identity = await self._door.identify(tokens)
        except AuthenticationError as error:
            self._hub.counters.add(Count.UNAUTHORIZED)
            await _turn_away(send, arrival.subprotocol, "token_expired" if error.expired else "unauthorized")
        except (UnavailableError, TimeoutError):
            await self._refuse(scope, send, 503)
        else:
            del tokens
            await self._admit(scope, arrival, identity, receive, send)

    def _look(self, scope: Scope) -> tuple[list[str], int, _Arrival]:
        """Return the tokens offered, the status to refuse with before the upgrade or 0, and the rest that counts."""
        headers = upgrade.headers(scope)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        tokens = upgrade.tokens(scope, headers, query)
        upgrade.redact(scope)
        address = self._door.address_of(scope)
        status, subprotocol = self._judge(scope, headers, address)
        arrival = _Arrival(
            address=address,
            subprotocol=subprotocol,
            former_sid=(query.get("sid") or headers.get(_RESTORE_HEADER, ""))[:_MAX_SID_CHARS],
            ping_every_s=upgrade.seconds(query.get("pi", "")),
            precision=PRECISIONS.get(query.get("ptp", ""), 1),
            wire=cast("dict[str, Wire]", scope.get("extensions") or {}).get(EXTENSION),
        )
        return tokens, status, arrival

    def _judge(self, scope: Scope, headers: Mapping[str, str], address: str) -> tuple[int, str | None]:
        """Return the status to refuse with before the upgrade, or 0 and the sub-protocol."""
        if not self._door.admits_origin(headers):
            return 403, None
        try:
            subprotocol = protocol.choose_protocol(scope.get("subprotocols", []))
        except FrameError:
            return 400, None
        return self._door.refusal(address), subprotocol

    async def _admit(self, scope: Scope, arrival: _Arrival, identity: Identity, receive: Receive, send: Send) -> None:
        if not self._hub.admission.admit(arrival.address, identity.user_id):
            await self._refuse(scope, send, 429)
            return
        scope["headers"] = []  # read, and they would stay as long as the socket
        try:
            await self._serve(arrival, identity, receive, send)
        finally:
            self._hub.admission.release(arrival.address, identity.user_id)

    async def _refuse(self, scope: Scope, send: Send, status: int) -> None:
        """Answer before the upgrade."""
        self._hub.counters.add(Count.REFUSED)
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": NORMAL_CLOSURE})
            return
        headers = [(b"retry-after", b"3")] if status in LATER else []
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b""})

    async def _serve(self, arrival: _Arrival, identity: Identity, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept", "subprotocol": arrival.subprotocol})
        if arrival.wire is not None:
            arrival.wire.settle()
        connection = self._connect(arrival, identity, send)
        consumer = Consumer(connection, self._hub, self._commands, self._door.authenticate)
        self._hub.enter(connection, arrival.ping_every_s)
        try:
            restored_ids = None
            if connection.extended and arrival.former_sid:
                restored_ids = await consumer.take_over(arrival.former_sid)
            connection.push(frames.welcome(connection.sid, restored_ids))
            connection.welcomed = True
            gone = await _converse(connection, consumer, receive)
            if not gone:
                await _part(connection, send)
        finally:
            consumer.close()
            self._hub.leave(connection)

    def _connect(self, arrival: _Arrival, identity: Identity, send: Send) -> Connection:
        async def send_text(text: str) -> None:
            await send({"type": "websocket.send", "text": text})

        connection = Connection(
            secrets.token_urlsafe(16)[:21],
            identity,
            send_text,
            self._hub.settings.connection,
            wire=arrival.wire,
            flusher=self._hub.flusher,
        )
        connection.extended = arrival.subprotocol == protocol.EXTENDED
        connection.precision = arrival.precision
        return connection


async def _converse(connection: Connection, consumer: Consumer, receive: Receive) -> bool:
    """Read until the client is gone (True) or we end it (False). Raises what the writer raises.

    It is one task, because most sockets are idle: what else may end the reading interrupts it, as a time-out would.
    """
    reading = True
    me = cast("asyncio.Task[object]", asyncio.current_task())

    def interrupt(_done: asyncio.Future[Any]) -> None:
        nonlocal reading
        if reading:
            # Once: the writer may end with the connection, and each request to cancel would have to be taken back.
            reading = False
            me.cancel()

    writer = asyncio.create_task(connection.write()) if connection.needs_writer else None
    for ending in (connection.ended, writer):
        if ending is not None:
            ending.add_done_callback(interrupt)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            await consumer.hear(cast("str | None", message.get("text")))
    except asyncio.CancelledError:
        ours = connection.ended.done() or (writer is not None and writer.done())
        if me.uncancel() or not ours:
            raise
    finally:
        reading = False
        await cancel_all([writer, consumer.working])
    error = None if writer is None or writer.cancelled() else writer.exception()
    # A server says that the client is gone by OSError, or by RuntimeError after it closed the socket itself.
    if error is not None and not isinstance(error, OSError | RuntimeError):
        raise error
    return not connection.ended.done()


async def _part(connection: Connection, send: Send) -> None:
    ending = connection.ended.result()
    try:
        await connection.farewell(ending)
        await send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})
    except TimeoutError:
        connection.abort()
    except (OSError, RuntimeError):
        pass  # the client is gone


async def _turn_away(send: Send, subprotocol: str | None, reason: str) -> None:
    """Browsers cannot read a refused upgrade, so accept, say why, close."""
    with suppress(OSError):
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        await send({"type": "websocket.send", "text": frames.disconnect(reason, reconnect=False).text})
        await send({"type": "websocket.close", "code": NORMAL_CLOSURE, "reason": reason})


async def _answer_http(send: Send) -> None:
    headers = [(b"upgrade", b"websocket"), (b"connection", b"upgrade"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
