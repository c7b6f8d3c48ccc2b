"""One connection's commands, strictly in order: subscribe, unsubscribe, perform. Its only caller is server.py.

In order matters: subscribe, unsubscribe, subscribe handled side by side leaves ghost subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, assert_never

import orjson
import structlog
from pydantic import BaseModel, ValidationError

from domain.errors import NotFoundError, PermissionDeniedError, PowernodeError, UnavailableError
from realtime import protocol
from realtime.channel import AnyChannel, Caller
from realtime.commands import Commands
from realtime.connection import MESSAGE_TOO_BIG, NORMAL_CLOSURE, Connection
from realtime.counters import Count
from realtime.errors import FrameError, RejectedError
from realtime.hub import Hub

log = structlog.stdlib.get_logger(__name__)

_REMEMBERED_REJECTIONS: Final = 256


@dataclass(frozen=True, slots=True)
class Inbound:
    """A frame as it came, `text` None for a binary one; `arrived` counts from 1 within the connection."""

    text: str | None
    arrived: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """A confirmed subscription: its channel, and the caller as the channel sees it."""

    channel: AnyChannel
    caller: Caller[BaseModel]


class Consumer:
    """Carries out what one client asks, one thing at a time."""

    def __init__(self, connection: Connection, hub: Hub, commands: Commands) -> None:
        self._connection = connection
        self._hub = hub
        self._commands = commands
        self._subscriptions: dict[str, Subscription] = {}
        # Identifier -> number of the newest frame that had arrived when it was rejected.
        self._rejected: dict[str, int] = {}
        self._malformed = 0
        self.newest = 0

    async def run(self, inbox: asyncio.Queue[Inbound]) -> None:
        """Handle frames until cancelled."""
        while not self._connection.ended.done():
            await self._handle(await inbox.get())
        await asyncio.Event().wait()  # whoever runs us sees `ended` and cancels

    def close(self) -> None:
        """Give back all subscriptions."""
        for identifier, subscription in self._subscriptions.items():
            self._hub.detach(self._connection, identifier, subscription.caller.streams)
        self._subscriptions.clear()

    async def _handle(self, inbound: Inbound) -> None:
        if self._connection.identity.expires_at <= datetime.now(UTC):
            self._connection.end("token_expired", reconnect=True)
            return
        try:
            if inbound.text is None:
                raise FrameError("binary frame")
            if len(inbound.text) > protocol.MAX_FRAME_BYTES or len(inbound.text.encode()) > protocol.MAX_FRAME_BYTES:
                self._hub.counters.add(Count.MALFORMED)
                self._connection.end("invalid_request", reconnect=False, code=MESSAGE_TOO_BIG)
                return
            await self._obey(protocol.parse_command(inbound.text), inbound.arrived)
        except FrameError as error:
            self._count_malformed(error)

    def _count_malformed(self, error: FrameError) -> None:
        self._hub.counters.add(Count.MALFORMED)
        self._malformed += 1
        log.info("realtime.malformed_frame", sid=self._connection.sid, fault=str(error), times=self._malformed)
        if self._malformed >= self._hub.settings.max_malformed:
            self._connection.end("invalid_request", reconnect=False)

    async def _obey(self, command: protocol.Command, arrived: int) -> None:
        match command:
            case protocol.Subscribe(identifier):
                await self._subscribe(identifier, arrived)
            case protocol.Unsubscribe(identifier):
                self._unsubscribe(identifier)
            case protocol.Perform():
                await self._perform(command)
            case protocol.Ping():
                self._connection.push(protocol.PONG)
            case protocol.Unknown():
                self._hub.counters.add(Count.UNKNOWN_COMMANDS)
            case _:
                assert_never(command)

    async def _subscribe(self, identifier: str, arrived: int) -> None:
        # Stock clients repeat a subscribe until it is answered. What arrived before the answer is such a repeat.
        if identifier in self._subscriptions or arrived <= self._rejected.get(identifier, 0):
            self._hub.counters.add(Count.DUPLICATE_SUBSCRIBES)
            return
        try:
            async with asyncio.timeout(self._hub.settings.authorize_timeout_s):
                subscription = await self._authorize(identifier)
            await self._hub.attach(self._connection, identifier, subscription.caller.streams)
        except (RejectedError, FrameError, ValidationError, NotFoundError, PermissionDeniedError):
            self._reject(identifier)
        except (UnavailableError, TimeoutError):
            self._send_away("subscribe")
        else:
            self._subscriptions[identifier] = subscription
            self._hub.counters.add(Count.CONFIRMED)
            await self._greet(subscription)

    async def _authorize(self, identifier: str) -> Subscription:
        """Raises RejectedError and the like for all that may not be, UnavailableError for what cannot be known now."""
        if len(self._subscriptions) >= self._hub.settings.max_subscriptions:
            raise RejectedError
        name, raw = protocol.parse_identifier(identifier)
        channel = self._hub.channels.get(name)
        identity = self._connection.identity
        if channel is None or not identity.may(channel.permission):
            raise RejectedError
        params = channel.params.model_validate(raw)
        streams = await channel.authorize(identity, params, self._hub.resources)
        if not streams:
            raise RejectedError
        return Subscription(channel, self._caller(identifier, params, streams))

    def _caller(self, identifier: str, params: BaseModel, streams: Sequence[str]) -> Caller[BaseModel]:
        async def broadcast(stream: str, payload: bytes) -> None:
            await self._hub.publisher.publish_transient(stream, payload, exclude_sid=self._connection.sid)

        return Caller(
            identity=self._connection.identity,
            params=params,
            streams=tuple(streams),
            resources=self._hub.resources,
            commands=self._commands,
            transmit=lambda payload: self._connection.push(protocol.data_frame(identifier, payload)),
            broadcast=broadcast,
        )

    async def _greet(self, subscription: Subscription) -> None:
        try:
            async with asyncio.timeout(self._hub.settings.authorize_timeout_s):
                await subscription.channel.subscribed(subscription.caller)
        except (UnavailableError, TimeoutError):
            self._send_away("greet")

    def _reject(self, identifier: str) -> None:
        self._hub.counters.add(Count.REJECTED)
        if len(self._rejected) >= _REMEMBERED_REJECTIONS:
            self._rejected.clear()
        self._rejected[identifier] = self.newest
        self._connection.push(protocol.reject(identifier))

    def _send_away(self, what: str) -> None:
        # Not a rejection: clients take that as final, and this one may well be welcome in a moment.
        log.warning("realtime.unavailable", sid=self._connection.sid, during=what)
        self._connection.end("unavailable", reconnect=True, code=NORMAL_CLOSURE)

    def _unsubscribe(self, identifier: str) -> None:
        self._rejected.pop(identifier, None)
        subscription = self._subscriptions.pop(identifier, None)
        if subscription is not None:
            self._hub.detach(self._connection, identifier, subscription.caller.streams)

    async def _perform(self, command: protocol.Perform) -> None:
        subscription = self._subscriptions.get(command.identifier)
        if subscription is None:
            self._hub.counters.add(Count.UNKNOWN_COMMANDS)
            return
        caller = subscription.caller
        action = subscription.channel.action(command.action)
        try:
            if action is None:
                raise NotFoundError("There is no such action")
            if not caller.identity.may(action.permission):
                raise PermissionDeniedError(f"This needs the permission {action.permission}")
            await action(caller, command.data)
        except ValidationError as error:
            fields = ", ".join(".".join(str(part) for part in fault["loc"]) or "data" for fault in error.errors())
            self._say_error(caller, f"Not valid: {fields}")
        except PowernodeError as error:
            self._say_error(caller, error.message)

    def _say_error(self, caller: Caller[BaseModel], message: str) -> None:
        now = datetime.now(UTC).isoformat()
        caller.transmit(orjson.dumps({"type": "error", "message": message, "timestamp": now}))
