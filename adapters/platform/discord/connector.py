"""Discord's gateway: hello, heartbeat, identify, resume, reconnect (https://docs.discord.com/developers/events/gateway).

The closes 4004 and 4010 to 4014 are final, every other one is to be followed by a connection
(https://docs.discord.com/developers/topics/opcodes-and-status-codes, "Gateway close event codes").

After a resume Discord repeats what was missed; where it does not resume, the channels known so far are read back. Position:
`session`, `url`, `seq`, and `at:{channel}` = the last message there and its server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from adapters.base import ChannelContext, ErrorClass, Refused
from adapters.connectors import DICE, Backoff, ConnectorStoppedError, Heard, aged, register_connector, remember
from adapters.foreign import decode_object
from adapters.http import Call, call
from adapters.platform.discord.api import api_base, authorization, token_of
from adapters.platform.discord.errors import result_of
from adapters.platform.discord.frames import read_frame, read_message
from adapters.platform.discord.item import Ourselves
from adapters.platform.discord.payloads import Message
from adapters.registry import Outside
from domain.errors import PayloadError
from domain.message import InboundEvent

_DISPATCH, _HEARTBEAT, _IDENTIFY, _RESUME, _RECONNECT, _INVALID, _HELLO, _ACK = 0, 1, 2, 6, 7, 9, 10, 11
_INTENTS: Final = (1 << 0) | (1 << 9) | (1 << 10) | (1 << 12) | (1 << 13) | (1 << 15)
"""Servers, messages and reactions there and in direct chats, and the privileged right to read messages."""

_FRESH_START: Final = frozenset({4003, 4007, 4009})
_FATAL: Final = {
    4004: "Discord does not accept the bot's token; reset it in the developer portal and enter the new one",
    4010: "Discord refuses the shard",
    4011: "The bot is in so many servers that it needs shards",
    4012: "Discord no longer speaks this version of its gateway",
    4013: "Discord refuses the intents",
    4014: "The bot may not read messages; turn on Bot, Message content intent in the developer portal",
}
_MAX_BYTES: Final = 16 << 20
_PAGE, _PAGES = 100, 5
_TIMEOUT_S: Final = 30.0


class _ReconnectError(Exception):
    """The connection is over; `fresh`: its session too."""

    def __init__(self, *, fresh: bool = False, wait_s: float = 0.0) -> None:
        super().__init__("reconnect")
        self.fresh = fresh
        self.wait_s = wait_s


@dataclass(slots=True)
class _Session:
    """Where we stand. `places`: channel → last message and server."""

    id: str = ""
    url: str = ""
    seq: int | None = None
    places: dict[str, str] = field(default_factory=dict[str, str])
    own: str = ""

    @classmethod
    def of(cls, position: Mapping[str, str]) -> _Session:
        seq = position.get("seq", "")
        places = {name[3:]: mark for name, mark in position.items() if name.startswith("at:")}
        return cls(position.get("session", ""), position.get("url", ""), int(seq) if seq.isdigit() else None, places)

    def position(self) -> dict[str, str]:
        found = {"session": self.id, "url": self.url, "seq": "" if self.seq is None else str(self.seq)}
        return {name: value for name, value in found.items() if value} | {
            f"at:{chat}": mark for chat, mark in self.places.items()
        }

    def forget(self) -> None:
        self.id, self.url, self.seq = "", "", None


@register_connector("discord")
class DiscordGateway:
    """The connector; see adapters/connectors.py. `shard`: which of how many."""

    def __init__(self, outside: Outside, backoff: Backoff | None = None, shard: tuple[int, int] = (0, 1)) -> None:
        self._outside = outside
        self._base = api_base(outside)
        self._backoff = backoff or Backoff()
        self._shard = shard

    async def run(self, channel: ChannelContext, position: Mapping[str, str]) -> AsyncIterator[Heard]:
        """Listen for ever. Raises ConnectorStoppedError."""
        session = _Session.of(position)
        while True:
            wait_s, trouble = 0.0, "Discord asked us to connect again"
            try:
                async for heard in self._connection(channel, session):
                    self._backoff.reset()
                    yield heard
            except _ReconnectError as over:
                wait_s = over.wait_s
                if over.fresh:
                    session.forget()
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 0
                if code in _FATAL:
                    raise ConnectorStoppedError(_FATAL[code]) from closed
                trouble = (
                    f"Discord closed the connection with code {code}" if code else "The connection to Discord broke"
                )
                if code in _FRESH_START:
                    session.forget()
            except (OSError, WebSocketException, TimeoutError) as error:
                trouble = f"Discord cannot be reached: {type(error).__name__}"
                # Perhaps the address of the session is gone: its other half of the world is asked for again.
                session.url = ""
            yield Heard(b"", (), session.position(), trouble)
            await asyncio.sleep(max(wait_s, self._backoff.wait_s()))

    async def _connection(self, channel: ChannelContext, session: _Session) -> AsyncIterator[Heard]:
        url = session.url or await self._address(channel)
        proxy = None if self._outside.api_base is not None else True
        target = f"{url.rstrip('/')}/?v=10&encoding=json"
        async with connect(target, max_size=_MAX_BYTES, open_timeout=_TIMEOUT_S, proxy=proxy) as socket:
            async with asyncio.timeout(_TIMEOUT_S):
                hello = decode_object(await socket.recv())
            interval_s = _interval_s(hello)
            pulse = _Pulse(socket, session, interval_s)
            beating = asyncio.create_task(pulse.beat())
            try:
                await socket.send(self._opening(channel, session))
                async for raw in socket:
                    async for heard in self._frame(channel, session, pulse, raw):
                        yield heard
                raise _ReconnectError
            finally:
                beating.cancel()
                with suppress(asyncio.CancelledError):
                    await beating

    async def _address(self, channel: ChannelContext) -> str:
        answer = result_of(
            await call(
                self._outside.http, Call(f"{self._base}/gateway/bot", method="GET", headers=authorization(channel))
            )
        )
        if isinstance(answer, Refused) and answer.error_class is ErrorClass.CHANNEL_BROKEN:
            raise ConnectorStoppedError(answer.message)
        if not isinstance(answer, dict):
            wait_s = answer.retry_after_s if isinstance(answer, Refused) else None
            raise _ReconnectError(wait_s=wait_s or 0.0)
        limit = answer.get("session_start_limit")
        left = cast("dict[str, object]", limit) if isinstance(limit, dict) else {}
        after_ms = left.get("reset_after")
        if left.get("remaining") == 0 and isinstance(after_ms, int):
            # Identifying more often than allowed makes Discord reset the bot's token.
            raise _ReconnectError(wait_s=after_ms / 1000)
        return str(answer.get("url") or "")

    def _opening(self, channel: ChannelContext, session: _Session) -> str:
        token = token_of(channel) or ""
        if session.id:
            return json.dumps({"op": _RESUME, "d": {"token": token, "session_id": session.id, "seq": session.seq}})
        properties = {"os": "linux", "browser": "powernode", "device": "powernode"}
        asked = {"token": token, "intents": _INTENTS, "properties": properties, "shard": list(self._shard)}
        return json.dumps({"op": _IDENTIFY, "d": asked})

    async def _frame(
        self, channel: ChannelContext, session: _Session, pulse: _Pulse, raw: str | bytes
    ) -> AsyncIterator[Heard]:
        try:
            frame = decode_object(raw)
        except PayloadError:
            return
        if frame.get("op") != _DISPATCH:
            await self._obey(frame, pulse)
            return
        seq = frame.get("s")
        session.seq = seq if isinstance(seq, int) else session.seq
        if frame.get("t") == "READY":
            _ready(session, frame)
            async for heard in self._missed(_known(channel, session), session):
                yield heard
            yield Heard(b"", (), session.position())
            return
        heard = _heard(_known(channel, session), session, raw)
        if heard.events or frame.get("t") == "RESUMED":
            yield heard

    async def _obey(self, frame: Mapping[str, object], pulse: _Pulse) -> None:
        op = frame.get("op")
        if op == _HEARTBEAT:
            await pulse.send()
        elif op == _ACK:
            pulse.acked = True
        elif op == _RECONNECT:
            raise _ReconnectError
        elif op == _INVALID:
            wait_s = DICE.uniform(1, 5) * self._backoff.first_s
            raise _ReconnectError(fresh=frame.get("d") is not True, wait_s=wait_s)

    async def _missed(self, channel: ChannelContext, session: _Session) -> AsyncIterator[Heard]:
        """Read what was said while no session was held, in the channels that were heard of before."""
        us, now = Ourselves.of(channel), time.time()
        found: list[tuple[Message, InboundEvent]] = []
        for chat, mark in list(session.places.items()):
            after, _, guild = mark.partition(":")
            for listed in await self._messages_after(channel, chat, after):
                message = listed.model_copy(update={"guild_id": guild or None, "channel_id": chat})
                found.append((message, aged(read_message(message, us, now), channel, now)))
        for message, event in sorted(found, key=lambda one: one[1].order_key):
            remember(session.places, message.channel_id, f"{message.id}:{message.guild_id or ''}")
            yield Heard(message.model_dump_json().encode(), (event,), session.position())

    async def _messages_after(self, channel: ChannelContext, chat: str, after: str) -> list[Message]:
        found: list[Message] = []
        for _ in range(_PAGES):
            params = {"after": after, "limit": str(_PAGE)}
            url = f"{self._base}/channels/{chat}/messages"
            outcome = await call(
                self._outside.http, Call(url, method="GET", params=params, headers=authorization(channel))
            )
            page = _page(getattr(outcome, "body", b"")) if getattr(outcome, "status", 0) == 200 else []
            found += page
            if len(page) < _PAGE:
                break
            after = max((message.id for message in page), key=int)
        return found


@dataclass(slots=True)
class _Pulse:
    """The heartbeat of one connection. One that is not answered means that nobody is there any more."""

    socket: ClientConnection
    session: _Session
    interval_s: float
    acked: bool = True

    async def beat(self) -> None:
        await asyncio.sleep(self.interval_s * DICE.random())
        while self.acked:
            await self.send()
            await asyncio.sleep(self.interval_s)
        # A code other than 1000 and 1001 keeps the session.
        await self.socket.close(4000, "no answer to a heartbeat")

    async def send(self) -> None:
        self.acked = False
        with suppress(ConnectionClosed):
            await self.socket.send(json.dumps({"op": _HEARTBEAT, "d": self.session.seq}))


def _interval_s(hello: Mapping[str, object]) -> float:
    data = hello.get("d")
    interval = cast("dict[str, object]", data).get("heartbeat_interval") if isinstance(data, dict) else None
    if hello.get("op") != _HELLO or not isinstance(interval, int | float):
        raise _ReconnectError
    return max(float(interval), 1.0) / 1000


def _ready(session: _Session, frame: Mapping[str, object]) -> None:
    """Keep the new session, and who we are in it."""
    data = cast("dict[str, object]", frame.get("d")) if isinstance(frame.get("d"), dict) else {}
    session.id, session.url = str(data.get("session_id") or ""), str(data.get("resume_gateway_url") or "")
    user = data.get("user")
    session.own = str(cast("dict[str, object]", user).get("id") or "") if isinstance(user, dict) else ""


def _known(channel: ChannelContext, session: _Session) -> ChannelContext:
    return replace(channel, identity={**channel.identity, "id": session.own}) if session.own else channel


def _heard(channel: ChannelContext, session: _Session, raw: str | bytes) -> Heard:
    try:
        events = read_frame(raw, channel, time.time())
    except PayloadError:
        events = ()
    for event in events:
        if event.message_id.isdigit() and event.target_message_id is None:
            guild = "1" if event.is_group else ""
            remember(session.places, event.reply_to.chat, f"{event.message_id}:{guild}")
    return Heard(raw.encode() if isinstance(raw, str) else raw, events, session.position())


def _page(body: bytes) -> list[Message]:
    try:
        items: object = json.loads(body)
    except ValueError:
        return []
    listed = cast("list[object]", items) if isinstance(items, list) else []
    return [Message.model_validate(one) for one in listed if isinstance(one, dict) and "id" in one]
