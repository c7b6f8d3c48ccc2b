"""One connection's commands, strictly in order. Its only caller is server.py.

In order matters: subscribe, unsubscribe, subscribe handled side by side leaves ghost subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Final

import orjson
import structlog
from pydantic import BaseModel, ValidationError

from domain.errors import AuthenticationError, NotFoundError, PermissionDeniedError, PowernodeError, UnavailableError
from realtime import frames, protocol
from realtime.admission import Bucket
from realtime.backlog import HistoryRequest
from realtime.channel import Caller
from realtime.commands import Commands
from realtime.connection import MESSAGE_TOO_BIG, NORMAL_CLOSURE, Connection
from realtime.counters import Count
from realtime.errors import FrameError
from realtime.hub import Hub
from realtime.identity import Authenticate
from realtime.protocol import Member
from realtime.subscriptions import REFUSALS, Subscription, Subscriptions

log = structlog.stdlib.get_logger(__name__)

_REMEMBERED_REJECTIONS: Final = 256
_INBOX: Final = 64
"""Commands that may wait for the one before; then the socket is not read on, and the client feels it."""
_BASE_COMMANDS: Final = (
    protocol.Subscribe | protocol.Unsubscribe | protocol.Perform | protocol.Whisper | protocol.Auth | protocol.Ping
)


class Consumer:
    """Carries out what one client asks, one thing at a time. `newest` counts frames as they arrive, from 1."""

    __slots__ = (
        "_actions", "_asking", "_authenticate", "_connection", "_hub", "_inbox", "_malformed", "_newest", "_rejected",
        "_rejections", "_subscriptions", "_whispers", "working",
    )  # fmt: skip

    def __init__(self, connection: Connection, hub: Hub, commands: Commands, authenticate: Authenticate) -> None:
        self._connection = connection
        self._hub = hub
        self._authenticate = authenticate
        self._subscriptions = Subscriptions(connection, hub, commands)
        # Identifier -> number of the newest frame that had arrived when it was rejected.
        self._rejected: dict[str, int] = {}
        self._malformed = 0
        self._inbox: list[tuple[str | None, int]] = []
        self._newest = 0
        self.working: asyncio.Task[None] | None = None
        rates = hub.settings.rates
        self._actions, self._asking = Bucket(rates.actions), Bucket(rates.subscriptions)
        self._rejections, self._whispers = Bucket(rates.rejections), Bucket(rates.whispers)

    async def hear(self, text: str | None) -> None:
        """Take a frame in, `None` for a binary one. It is handled in the background; waits when too many wait already."""
        self._newest += 1
        self._hub.counters.add(Count.COMMANDS)
        self._inbox.append((text, self._newest))
        if self.working is None:
            # Only while there is something to do: most sockets are idle, and a task of each would cost them memory.
            self.working = asyncio.create_task(self._work())
        elif len(self._inbox) >= _INBOX:
            await asyncio.wait({self.working})

    async def _work(self) -> None:
        try:
            while self._inbox and not self._connection.ended.done():
                await self._handle(*self._inbox.pop(0))
        except Exception:  # a channel's mistake must not leave a socket that hears but is not heard
            log.exception("realtime.command_failed", sid=self._connection.sid)
            self._send_away("command")
        finally:
            self.working = None

    async def take_over(self, sid: str) -> list[str] | None:
        """Restore what an earlier socket of the same person was subscribed to; None when there is no such socket."""
        record = await self._hub.sessions.take(sid)
        if record is None or not record.belongs_to(self._connection.identity):
            self._hub.counters.add(Count.RESTORES_REFUSED)
            return None
        self._hub.supersede(sid)
        self._hub.counters.add(Count.RESTORES)
        return await self._subscriptions.take_over(record.identifiers)

    def close(self) -> None:
        """Give back all subscriptions."""
        self._subscriptions.close_all()

    async def _handle(self, text: str | None, arrived: int) -> None:
        if self._connection.identity.expires_at <= datetime.now(UTC):
            self._hub.expire(self._connection)
            return
        try:
            if text is None:
                raise FrameError("binary frame")
            if len(text) > protocol.MAX_FRAME_BYTES or len(text.encode()) > protocol.MAX_FRAME_BYTES:
                self._hub.counters.add(Count.MALFORMED)
                self._connection.end("invalid_request", reconnect=False, code=MESSAGE_TOO_BIG)
                return
            await self._obey(protocol.parse_command(text), arrived)
        except FrameError as error:
            self._count_malformed(error)

    def _count_malformed(self, error: FrameError) -> None:
        self._hub.counters.add(Count.MALFORMED)
        self._malformed += 1
        log.info("realtime.malformed_frame", sid=self._connection.sid, fault=str(error), times=self._malformed)
        if self._malformed >= self._hub.settings.max_malformed:
            self._connection.end("invalid_request", reconnect=False)

    async def _obey(self, command: protocol.Command, arrived: int) -> None:
        if not self._connection.extended and not isinstance(command, _BASE_COMMANDS):
            self._hub.counters.add(Count.UNKNOWN_COMMANDS)
            return
        await self._take_turn(self._actions if isinstance(command, protocol.Perform) else self._asking)
        match command:
            case protocol.Subscribe():
                await self._subscribe(command, arrived)
            case protocol.Unsubscribe(identifier):
                self._rejected.pop(identifier, None)
                await self._or_send_away(self._subscriptions.close(identifier), "unsubscribe")
            case protocol.Ping():
                self._connection.push(frames.PONG)
            case protocol.Pong():
                self._connection.unanswered_pings = 0
            case protocol.Auth(token):
                await self._renew(token)
            case protocol.Unknown():
                self._hub.counters.add(Count.UNKNOWN_COMMANDS)
            case _:
                await self._address(command)

    async def _address(self, command: protocol.Addressed) -> None:
        """Carry out what needs a live subscription."""
        subscription = self._subscriptions.get(command.identifier)
        if subscription is None:
            self._hub.counters.add(Count.UNKNOWN_COMMANDS)
            return
        match command:
            case protocol.Perform():
                await self._perform(subscription, command)
            case protocol.History(_, history):
                subscription.confirmed = True
                await self._catch_up(subscription, history)
            case protocol.Whisper(_, data):
                await self._whisper(subscription, data)
            case protocol.Join(_, member):
                await self._join(subscription, member)
            case protocol.Leave():
                await self._leave(subscription)
            case protocol.Presence(_, records):
                await self._tell_presence(subscription, records=records)

    async def _take_turn(self, bucket: Bucket) -> None:
        """Wait when this client asks too much. It is not read on meanwhile, so it waits too."""
        wait_s = bucket.take()
        if wait_s:
            self._hub.counters.add(Count.THROTTLED)
            await asyncio.sleep(wait_s)

    async def _or_send_away(self, doing: Awaitable[None], what: str) -> None:
        """Do it; when Redis or the database cannot, let the client come back rather than believe something wrong."""
        try:
            async with asyncio.timeout(self._hub.settings.authorize_timeout_s):
                await doing
        except (UnavailableError, TimeoutError):
            self._send_away(what)

    async def _subscribe(self, command: protocol.Subscribe, arrived: int) -> None:
        identifier = command.identifier
        history = command.history if self._connection.extended else None
        known = self._subscriptions.get(identifier)
        # Clients repeat a subscribe until it is answered. What arrived before the answer is such a repeat.
        if (known is not None and known.confirmed) or arrived <= self._rejected.get(identifier, 0):
            self._hub.counters.add(Count.DUPLICATE_SUBSCRIBES)
            return
        try:
            subscription = known or await self._subscriptions.open(identifier, held=history is not None)
        except REFUSALS:
            await self._reject(identifier)
            return
        except (UnavailableError, TimeoutError):
            self._send_away("subscribe")
            return
        self._hub.counters.add(Count.CONFIRMED)
        await self._begin(subscription, history, command.member)

    async def _begin(self, subscription: Subscription, history: HistoryRequest | None, member: Member | None) -> None:
        """What follows a confirmation: what was missed, how things are now, who has come."""
        if not subscription.confirmed:  # it was taken over, but this client wants to hear it
            subscription.confirmed = True
            self._connection.push(frames.confirm(subscription.identifier))
            if history is None:
                self._hub.release(self._connection, subscription.identifier, subscription.caller.streams)
        if history is not None:
            await self._catch_up(subscription, history)
        await self._or_send_away(subscription.channel.subscribed(subscription.caller), "greet")
        if member is not None and self._connection.extended:
            await self._join(subscription, member)

    async def _catch_up(self, subscription: Subscription, history: HistoryRequest) -> None:
        streams = subscription.caller.streams
        await self._or_send_away(
            self._hub.catch_up(self._connection, subscription.identifier, streams, history), "history"
        )

    async def _reject(self, identifier: str) -> None:
        self._hub.counters.add(Count.REJECTED)
        if len(self._rejected) >= _REMEMBERED_REJECTIONS:
            self._rejected.clear()
        self._rejected[identifier] = self._newest
        self._connection.push(frames.reject(identifier))
        await self._take_turn(self._rejections)

    def _send_away(self, what: str) -> None:
        # Not a rejection: clients take that as final, and this one may well be welcome in a moment.
        log.warning("realtime.unavailable", sid=self._connection.sid, during=what)
        self._connection.end("unavailable", reconnect=True, code=NORMAL_CLOSURE)

    async def _perform(self, subscription: Subscription, command: protocol.Perform) -> None:
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
            _say_error(caller, f"Not valid: {fields}")
        except PowernodeError as error:
            _say_error(caller, error.message)

    async def _whisper(self, subscription: Subscription, data: bytes) -> None:
        if not subscription.channel.whispers or not self._whispers.take_if_due():
            self._hub.counters.add(Count.WHISPERS_DROPPED)
            return
        try:
            await subscription.caller.broadcast(subscription.stream, data)
        except UnavailableError:
            self._hub.counters.add(Count.WHISPERS_DROPPED)

    async def _join(self, subscription: Subscription, member: Member) -> None:
        connection = self._connection
        if not subscription.channel.may_be(connection.identity, member.id):
            connection.push(frames.presence(subscription.identifier, frames.PRESENCE_ERROR))
            return
        if subscription.member is not None and subscription.member.id != member.id:
            await self._leave(subscription)
        subscription.member = member
        await self._or_send_away(self._hub.presence.join(subscription.stream, connection.sid, member), "join")

    async def _leave(self, subscription: Subscription) -> None:
        member, subscription.member = subscription.member, None
        if member is not None:
            leaving = self._hub.presence.leave(subscription.stream, self._connection.sid, member)
            await self._or_send_away(leaving, "leave")

    async def _tell_presence(self, subscription: Subscription, *, records: bool) -> None:
        answer = frames.PRESENCE_ERROR
        if subscription.channel.presence:
            try:
                answer = await self._hub.presence.answer(subscription.stream, records=records)
            except UnavailableError:
                log.info("realtime.presence_not_read", sid=self._connection.sid)
        self._connection.push(frames.presence(subscription.identifier, answer))

    async def _renew(self, token: str) -> None:
        """Let a new token count. It must be the same person's; otherwise the one before stays as it is."""
        connection = self._connection
        before = connection.identity
        try:
            async with asyncio.timeout(self._hub.settings.authenticate_timeout_s):
                identity = await self._authenticate(token)
            if (identity.user_id, identity.account_id) != (before.user_id, before.account_id):
                raise AuthenticationError
        except AuthenticationError as error:
            connection.push(frames.reject_auth("token_expired" if error.expired else "unauthorized"))
        except (UnavailableError, TimeoutError):
            connection.push(frames.reject_auth("unavailable"))
        else:
            connection.identity = identity
            await self._or_send_away(self._subscriptions.recheck(identity), "auth")
            connection.push(frames.confirm_auth(int(identity.expires_at.timestamp())))


def _say_error(caller: Caller[BaseModel], message: str) -> None:
    now = datetime.now(UTC).isoformat()
    caller.transmit(orjson.dumps({"type": "error", "message": message, "timestamp": now}))
