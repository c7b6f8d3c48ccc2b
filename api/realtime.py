"""Live connections of an account, in all processes: who is there, what they hear, what a stream said lately, send away."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from redis.exceptions import RedisError

from api.deps import Desk, Principal, allow
from api.envelope import done
from api.hub import live_hub
from api.openapi import shows
from db import principals
from domain.errors import NotFoundError
from domain.permissions import Permission
from domain.views import View
from realtime import protocol
from realtime.backlog import read_log
from realtime.control import CONTROL_STREAM, Disconnect
from realtime.errors import FrameError, RealtimeUnavailableError
from realtime.hub import Hub
from realtime.survey import Answers

router = APIRouter(prefix="/api/v1/realtime", tags=["realtime"])


Reader = Annotated[Principal, allow(Permission.OPERATIONS_READ)]
Manager = Annotated[Principal, allow(Permission.OPERATIONS_MANAGE)]
Live = Annotated[Hub, Depends(live_hub)]


class SubscriptionView(View):
    """What a connection hears: the identifier as the client wrote it, and the streams that it led to."""

    identifier: str
    streams: list[str]


class ConnectionView(View):
    """A socket, or a stream of server-sent events."""

    id: str
    user_id: UUID
    name: str
    waiting_bytes: int
    sent_bytes: int
    subscriptions: list[SubscriptionView]


class StreamView(View):
    """A stream that somebody of the account hears, by so many connections."""

    name: str
    connections: int


class StoredEventView(View):
    """An event as it was sent; `offset` counts from 1 within the epoch."""

    offset: int
    stored_at: datetime
    payload: Any


class DisconnectBody(BaseModel):
    """`reconnect`: whether the clients may come back by themselves. Their tokens stay valid either way."""

    model_config = ConfigDict(extra="forbid")
    reconnect: bool = False


@router.get(
    "/connections",
    summary="See who is connected",
    responses=shows("Connections", items=list[ConnectionView], complete=bool),
)
async def connections(caller: Reader, live: Live) -> dict[str, Any]:
    """All connections of the account, in all processes; not `complete` when one did not answer within two seconds, or
    has more than 2,000 of them.
    """
    answers = await live.survey.ask(caller.account_id)
    items = [
        ConnectionView(
            id=one.id,
            user_id=one.user_id,
            name=one.name,
            waiting_bytes=one.waiting_bytes,
            sent_bytes=one.sent_bytes,
            subscriptions=[SubscriptionView(identifier=name, streams=streams) for name, streams in one.hears.items()],
        )
        for one in answers.seen
    ]
    return done(items=sorted(items, key=lambda item: (item.name, item.id)), complete=answers.whole)


@router.get(
    "/streams", summary="See what is listened to", responses=shows("Streams", items=list[StreamView], complete=bool)
)
async def streams(caller: Reader, live: Live) -> dict[str, Any]:
    """All streams that somebody of the account hears."""
    answers = await live.survey.ask(caller.account_id)
    heard = Counter(stream for one in answers.seen for stream in {s for found in one.hears.values() for s in found})
    items = [StreamView(name=name, connections=times) for name, times in sorted(heard.items())]
    return done(items=items, complete=answers.whole)


@router.get(
    "/streams/{stream}/tail",
    summary="Read what a stream said lately",
    responses=shows("Tail", epoch=str, top=int, items=list[StoredEventView]),
)
async def tail(
    stream: str, desk: Desk, caller: Reader, live: Live, count: Annotated[int, Query(ge=1, le=100)] = 20
) -> dict[str, Any]:
    """The newest stored events, oldest first, of a stream that somebody of the account hears just now by a channel that
    you could hear, too. `top` is the offset of the last event there was.
    """
    if not _may_hear(live, caller, await live.survey.ask(caller.account_id), stream):
        raise NotFoundError("Nobody of your account hears such a stream")
    try:
        page = await read_log(desk.redis, stream, count=-count)
    except (RedisError, OSError) as error:
        raise RealtimeUnavailableError("Redis does not answer") from error
    items = [
        StoredEventView(
            offset=entry.offset,
            stored_at=datetime.fromtimestamp(entry.at_ms / 1000, UTC),
            payload=json.loads(entry.payload),
        )
        for entry in page.entries
    ]
    return done(epoch=page.epoch, top=page.top, items=items)


@router.post("/users/{user_id}/disconnect", summary="Send a person away", responses=shows("UserDisconnected"))
async def disconnect(
    user_id: UUID, desk: Desk, caller: Manager, live: Live, body: DisconnectBody | None = None
) -> dict[str, Any]:
    """Ends all their connections to this account, in all processes, with the reason `remote`."""
    async with desk.db.account(caller.account_id) as conn:
        if not await principals.is_member(conn, user_id):
            raise NotFoundError("There is no such person in your account")
    whose = {"user_id": str(user_id), "account_id": str(caller.account_id)}
    order = Disconnect(whose, reconnect=body is not None and body.reconnect)
    await live.publisher.publish_transient(CONTROL_STREAM, order.dump())
    return done("Connections are being ended")


def _may_hear(live: Hub, caller: Principal, answers: Answers, stream: str) -> bool:
    """Whether a subscription of the account leads to the stream, by a channel that the caller has the permission for."""
    leading = {name for one in answers.seen for name, found in one.hears.items() if stream in found}
    return any(_permission(live, identifier) in caller.permissions for identifier in leading)


def _permission(live: Hub, identifier: str) -> Permission | None:
    try:
        name, _ = protocol.parse_identifier(identifier)
    except FrameError:
        return None
    channel = live.channels.get(name)
    return None if channel is None else channel.permission
