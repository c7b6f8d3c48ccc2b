"""`GET /events`: one subscription as server-sent events, for those who cannot keep a WebSocket open. A raw ASGI app.

The client is a `Connection` like any other, with another way to write; it says nothing after its request. What it missed
it gets by `Last-Event-ID`, through the same log. api/hub.py routes `/events` to it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from domain.errors import AuthenticationError, UnavailableError
from realtime import eventstream, frames, protocol, upgrade
from realtime.backlog import HistoryRequest
from realtime.commands import Commands
from realtime.connection import Connection
from realtime.counters import Count
from realtime.door import LATER, Door
from realtime.eventstream import EventStream
from realtime.hub import Hub
from realtime.identity import Identity
from realtime.server import Receive, Send
from realtime.subscriptions import REFUSALS, Subscription, Subscriptions
from realtime.tasks import cancel_all
from realtime.upgrade import Scope

_EVENTS: Final = b"text/event-stream; charset=utf-8"
_REASONS: Final = {400: "invalid_request", 403: "rejected", 405: "invalid_request", 429: "too_many", 503: "unavailable"}
_RESERVED: Final = frozenset({"token", "jid", "history_since"})


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What a request brings. `origin`: whom the answer may be shown to; `since_s` counts without a last id."""

    address: str
    origin: str
    identifier: str
    last_event_id: str
    since_s: float | None

    def missed(self, subscription: Subscription) -> HistoryRequest | None:
        """Return what the client wants to catch up with."""
        if self.last_event_id:
            return eventstream.after(self.last_event_id, subscription.caller.streams)
        return None if self.since_s is None else HistoryRequest(self.since_s)

    @property
    def returning(self) -> bool:
        """Whether it wants to catch up at all."""
        return bool(self.last_event_id) or self.since_s is not None


class EventsApp:
    """The ASGI app. Route it as an app, not as a function: `Route("/events", endpoint=EventsApp(…))`."""

    def __init__(self, hub: Hub, door: Door, commands: Commands) -> None:
        self._hub = hub
        self._door = door
        self._commands = commands

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client."""
        headers = upgrade.headers(scope)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        tokens = upgrade.tokens(scope, headers, query)
        upgrade.redact(scope)
        arrival = _Arrival(
            address=self._door.address_of(scope),
            origin=headers.get("origin", ""),
            identifier=_identifier(query),
            last_event_id=headers.get("last-event-id", ""),
            since_s=upgrade.seconds(query.get("history_since", "")),
        )
        status = self._judge(scope, headers, arrival)
        if status:
            await self._refuse(send, status, arrival.origin)
            return
        try:
            identity = await self._door.identify(tokens)
        except AuthenticationError as error:
            self._hub.counters.add(Count.UNAUTHORIZED)
            await self._refuse(send, 401, arrival.origin, "token_expired" if error.expired else "unauthorized")
        except (UnavailableError, TimeoutError):
            await self._refuse(send, 503, arrival.origin)
        else:
            await self._admit(arrival, identity, receive, send)

    def _judge(self, scope: Scope, headers: dict[str, str], arrival: _Arrival) -> int:
        if scope["method"] != "GET":
            return 405
        if not self._door.admits_origin(headers):
            return 403
        return self._door.refusal(arrival.address) if arrival.identifier else 400

    async def _admit(self, arrival: _Arrival, identity: Identity, receive: Receive, send: Send) -> None:
        if not self._hub.admission.admit(arrival.address, identity.user_id):
            await self._refuse(send, 429, arrival.origin)
            return
        try:
            await self._serve(arrival, identity, receive, send)
        finally:
            self._hub.admission.release(arrival.address, identity.user_id)

    async def _serve(self, arrival: _Arrival, identity: Identity, receive: Receive, send: Send) -> None:
        rendering = EventStream()

        async def send_text(text: str) -> None:
            await send({"type": "http.response.body", "body": rendering.render(text), "more_body": True})

        settings = self._hub.settings.connection
        connection = Connection(secrets.token_urlsafe(16)[:21], identity, send_text, settings)
        subscriptions = Subscriptions(connection, self._hub, self._commands)
        self._hub.enter(connection)
        try:
            connection.push(frames.welcome(connection.sid))
            subscription, status = await self._open(subscriptions, arrival)
            if subscription is None:
                await self._refuse(send, status, arrival.origin)
                return
            # No await since then: it is where the live events begin.
            wanted = arrival.missed(subscription)
            rendering.begin(self._hub.places(subscription.caller.streams), wanted)
            await _start(send, 200, arrival.origin, _EVENTS)
            connection.welcomed = True
            await _converse(connection, self._begin(connection, subscription, wanted), receive)
            await _part(connection, send)
        finally:
            subscriptions.close_all()
            self._hub.leave(connection)

    async def _open(self, subscriptions: Subscriptions, arrival: _Arrival) -> tuple[Subscription | None, int]:
        """Return the subscription, or None and the status to refuse with."""
        try:
            return await subscriptions.open(arrival.identifier, held=arrival.returning), 200
        except REFUSALS:
            self._hub.counters.add(Count.REJECTED)
            return None, 403
        except (UnavailableError, TimeoutError):
            return None, 503

    async def _begin(self, connection: Connection, subscription: Subscription, wanted: HistoryRequest | None) -> None:
        """What follows a confirmation: what was missed, and how things are now."""
        self._hub.counters.add(Count.CONFIRMED)
        try:
            async with asyncio.timeout(self._hub.settings.authorize_timeout_s):
                if wanted is not None:
                    streams = subscription.caller.streams
                    await self._hub.catch_up(connection, subscription.identifier, streams, wanted)
                await subscription.channel.subscribed(subscription.caller)
        except (UnavailableError, TimeoutError):
            connection.end("unavailable", reconnect=True)

    async def _refuse(self, send: Send, status: int, origin: str, reason: str = "") -> None:
        """Answer instead of a stream. What is temporary is told in a stream that ends: browsers give up at a status."""
        self._hub.counters.add(Count.REFUSED)
        text = frames.disconnect(reason or _REASONS[status], reconnect=status in LATER).text
        with suppress(OSError):
            if status == 503:
                await _start(send, 200, origin, _EVENTS)
                body = b"retry: %d\n" % eventstream.RETRY_MS + EventStream().render(text)
            else:
                await _start(send, status, origin, b"application/json")
                body = text.encode()
            await send({"type": "http.response.body", "body": body})


def _identifier(query: dict[str, str]) -> str:
    """Return the identifier that is asked for, whole or as a channel and its params; "" for none."""
    if "channel" not in query:
        return query.get("identifier", "")[: protocol.MAX_IDENTIFIER_CHARS]
    return json.dumps({name: value for name, value in query.items() if name not in _RESERVED})


async def _start(send: Send, status: int, origin: str, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    if origin:
        headers += [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"origin")]
    if status == 429:
        headers.append((b"retry-after", b"3"))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _converse(connection: Connection, beginning: Coroutine[None, None, None], receive: Receive) -> None:
    """Send until the client is gone or the connection ends. Raises what beginning it raises."""
    begun = asyncio.create_task(beginning)
    writer, hearing = asyncio.create_task(connection.write()), asyncio.create_task(_gone(receive))
    working: set[asyncio.Future[Any]] = {begun, writer, hearing, connection.ended}
    try:
        while not (writer.done() or hearing.done() or connection.ended.done()):
            _, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            if begun.done():
                begun.result()
    finally:
        await cancel_all([begun, writer, hearing])


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _part(connection: Connection, send: Send) -> None:
    if connection.ended.done():
        with suppress(OSError, TimeoutError):  # the client is gone, or takes nothing any more
            await connection.farewell(connection.ended.result())
            await send({"type": "http.response.body", "body": b""})
