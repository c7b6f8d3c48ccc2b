"""What one socket is subscribed to: opened after authorisation, taken over from an earlier socket, checked again, given
back. Its only caller is realtime/consumer.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ValidationError

from domain.errors import InvalidInputError, NotFoundError, PermissionDeniedError, UnavailableError
from realtime import frames, protocol
from realtime.channel import AnyChannel, Caller
from realtime.commands import Commands
from realtime.connection import Connection
from realtime.errors import FrameError, RejectedError
from realtime.hub import Hub
from realtime.identity import Identity
from realtime.protocol import Member

REFUSALS = (RejectedError, FrameError, ValidationError, NotFoundError, PermissionDeniedError)
"""What all look the same to the client."""
MAX_FOLLOWED = 64
"""Streams that one subscription may follow besides its own."""


@dataclass(slots=True)
class Subscription:
    """One that is live. Not `confirmed`: taken over, and its events are held until the client asks for its history."""

    identifier: str
    channel: AnyChannel
    caller: Caller[BaseModel]
    confirmed: bool = True
    member: Member | None = None
    followed: set[str] = field(default_factory=set[str])

    @property
    def stream(self) -> str:
        """The stream that whispers and presence belong to."""
        return self.caller.streams[0]


class Subscriptions:
    """One socket's. Shape: identifier -> subscription."""

    __slots__ = ("_commands", "_connection", "_found", "_hub")

    def __init__(self, connection: Connection, hub: Hub, commands: Commands) -> None:
        self._connection = connection
        self._hub = hub
        self._commands = commands
        self._found: dict[str, Subscription] = {}

    def get(self, identifier: str) -> Subscription | None:
        """Return a live one."""
        return self._found.get(identifier)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._found.values()))

    async def open(self, identifier: str, *, held: bool) -> Subscription:
        """Subscribe and confirm. Raises one of REFUSALS, UnavailableError, TimeoutError."""
        if len(self._found) >= self._hub.settings.max_subscriptions:
            raise RejectedError
        subscription = await self._authorize(identifier)
        await self._hub.attach(
            self._connection,
            identifier,
            subscription.caller.streams,
            latest_only=subscription.channel.latest_only,
            held=held,
            confirm=True,
        )
        self._keep(subscription)
        self._remember()
        return subscription

    async def take_over(self, identifiers: Sequence[str]) -> list[str]:
        """Authorise anew what an earlier socket was subscribed to; return what is live again, in the same order."""
        wanted = list(dict.fromkeys(identifiers))[: self._hub.settings.max_subscriptions]
        outcomes = await asyncio.gather(*(self._take_over(identifier) for identifier in wanted))
        restored = [identifier for identifier, live in zip(wanted, outcomes, strict=True) if live]
        self._remember()
        return restored

    async def _take_over(self, identifier: str) -> bool:
        try:
            subscription = await self._authorize(identifier)
            await self._hub.attach(
                self._connection,
                identifier,
                subscription.caller.streams,
                latest_only=subscription.channel.latest_only,
                held=True,
                confirm=False,
            )
        except (*REFUSALS, UnavailableError, TimeoutError):
            return False  # the client subscribes to it again, and is answered then
        subscription.confirmed = False
        self._keep(subscription)
        return True

    async def recheck(self, identity: Identity) -> None:
        """Hold all against a renewed identity; what may not be any more ends with a rejection.

        Raises UnavailableError, TimeoutError.
        """
        for subscription in self:
            try:
                again = await self._authorize(subscription.identifier)
                if tuple(again.caller.streams) != tuple(subscription.caller.streams):
                    raise RejectedError
            except REFUSALS:
                await self.close(subscription.identifier)
                self._connection.push(frames.reject(subscription.identifier))
            else:
                if identity.permissions != subscription.caller.identity.permissions:
                    self._unfollow(subscription.identifier, list(subscription.followed))
                subscription.caller = replace(subscription.caller, identity=identity)

    async def close(self, identifier: str) -> None:
        """Give one back; who was present by it leaves."""
        subscription = self._found.pop(identifier, None)
        if subscription is None:
            return
        self._detach(subscription)
        self._remember()
        if subscription.member is not None:
            await self._hub.presence.leave(subscription.stream, self._connection.sid, subscription.member)

    def close_all(self) -> None:
        """Give all back, because the socket is gone; the record of it stays, and so does who is present, for a while."""
        for subscription in self:
            self._detach(subscription)
            if subscription.member is not None:
                self._hub.presence.forget(subscription.stream, self._connection.sid, subscription.member)
        self._found.clear()

    async def _authorize(self, identifier: str) -> Subscription:
        """Raises one of REFUSALS for all that may not be, UnavailableError or TimeoutError for what is not known now."""
        name, raw = protocol.parse_identifier(identifier)
        channel = self._hub.channels.get(name)
        identity = self._connection.identity
        if channel is None or not identity.may(channel.permission):
            raise RejectedError
        params = channel.params.model_validate(raw)
        async with asyncio.timeout(self._hub.settings.authorize_timeout_s), self._hub.authorizing:
            streams = await channel.authorize(identity, params, self._hub.resources)
        if not streams:
            raise RejectedError
        return Subscription(identifier, channel, self._caller(identifier, params, streams))

    def _caller(self, identifier: str, params: BaseModel, streams: Sequence[str]) -> Caller[BaseModel]:
        async def broadcast(stream: str, payload: bytes) -> None:
            await self._hub.publisher.publish_transient(stream, payload, exclude_sid=self._connection.sid)

        return Caller(
            identity=self._connection.identity,
            params=params,
            streams=tuple(streams),
            resources=self._hub.resources,
            commands=self._commands,
            transmit=lambda payload: self._connection.push(frames.data(identifier, payload)),
            broadcast=broadcast,
            follow=lambda stream, notice: self._follow(identifier, stream, notice),
            unfollow=lambda stream: self._unfollow(identifier, [stream]),
        )

    async def _follow(self, identifier: str, stream: str, notice: bytes) -> None:
        subscription = self._found.get(identifier)
        if subscription is None or stream in subscription.followed or stream in subscription.caller.streams:
            return
        if len(subscription.followed) >= MAX_FOLLOWED:
            raise InvalidInputError(f"No more than {MAX_FOLLOWED} can be followed by one subscription")

        subscription.followed.add(stream)
        try:
            await self._hub.attach(self._connection, identifier, [stream], confirm=False, notice=notice)
        except BaseException:
            subscription.followed.discard(stream)
            raise

    def _unfollow(self, identifier: str, streams: Sequence[str]) -> None:
        subscription = self._found.get(identifier)
        if subscription is None:
            return
        leaving = [stream for stream in streams if stream in subscription.followed]
        subscription.followed.difference_update(leaving)
        self._hub.detach(self._connection, identifier, leaving)

    def _keep(self, subscription: Subscription) -> None:
        self._found[subscription.identifier] = subscription
        if subscription.channel.presence:
            self._hub.presence.watch(subscription.stream)

    def _detach(self, subscription: Subscription) -> None:
        streams = (*subscription.caller.streams, *subscription.followed)
        self._hub.detach(self._connection, subscription.identifier, streams)
        if subscription.channel.presence:
            self._hub.presence.unwatch(subscription.stream)

    def _remember(self) -> None:
        connection = self._connection
        if connection.extended:
            self._hub.sessions.remember(connection.sid, connection.identity, list(self._found))
