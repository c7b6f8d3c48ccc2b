"""Programs say what happened: typed events by their names in the catalogue, or messages on a stream.

Whoever publishes has `events.publish` and, a service, prefixes of streams; the streams must be the own account's besides
(stream_owners.py). An event whose state is ours changes the rows and is told from there by the outbox; any other
goes to Redis before it is answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import uuid4

import orjson
from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import Desk, Principal, allow
from api.envelope import done
from api.openapi import shows
from api.recorders import RECORDERS
from api.services import Services
from api.stream_owners import is_owned
from db.devops_rows import one_writer
from db.outbox import Aggregate
from domain.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from domain.events import CATALOGUE
from domain.events.base import Event
from domain.permissions import Permission
from domain.views import View
from realtime.errors import EventTooLargeError
from realtime.publish import MAX_EVENT_BYTES, Publication

router = APIRouter(prefix="/api/v1/events", tags=["events"])

AT_ONCE: Final = 100
_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")
EVENTS: Final[dict[str, type[Event]]] = {event.__name__: event for event in CATALOGUE}
Publisher = Annotated[Principal, allow(Permission.EVENTS_PUBLISH)]
Key = Annotated[str, Field(min_length=1, max_length=200)]
IdempotencyKey = Annotated[Key | None, Header(alias="Idempotency-Key")]


class EventBody(BaseModel):
    """`name`: as docs/events.md has it. `payload`: what its class wants, or, where the state is ours, a report."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=100)
    payload: dict[str, Any]
    event_id: Key | None = None


class Meta(BaseModel):
    """`exclude_socket`: the sid of the socket that gets none. `transient`: for those who listen now; nothing is kept."""

    model_config = ConfigDict(extra="forbid")
    exclude_socket: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_-]*$")] = ""
    transient: bool = False


class BroadcastBody(BaseModel):
    """A message in AnyCable's form. `data`: JSON text; what is none is sent as a string."""

    model_config = ConfigDict(extra="forbid")
    stream: str = Field(min_length=1, max_length=200)
    data: str
    meta: Meta = Meta()
    event_id: Key | None = None


class PublishedView(View):
    """What became of an event. `changed`: false for a repeat or a late report, which nobody is told of.

    `view`: the state that is ours, as it is now.
    """

    name: str
    changed: bool
    streams: list[str]
    view: dict[str, Any] | None


@dataclass(slots=True)
class _Done:
    items: list[PublishedView]
    direct: list[tuple[Event, str]]
    aggregates: list[Aggregate]


@router.post(
    "", status_code=201, summary="Publish events", responses=shows("Published", 201, items=list[PublishedView])
)
async def publish(
    body: EventBody | Annotated[list[EventBody], Field(min_length=1, max_length=AT_ONCE)],
    desk: Desk,
    caller: Publisher,
    key: IdempotencyKey = None,
) -> dict[str, Any]:
    """One event or up to 100 of them: all, or none when one is refused. Reports of our own state are idempotent by what
    they say; other events, for ten minutes, by `event_id` or the `Idempotency-Key`. 409 with `expected_offset` for a
    piece of a log that does not follow; 413 over 256 KiB.
    """
    bodies = body if isinstance(body, list) else [body]
    outcome = _Done([], [], [])
    async with desk.db.account(caller.account_id) as conn:
        if any(EVENTS.get(item.name) in RECORDERS for item in bodies):
            await one_writer(conn)
        for number, item in enumerate(bodies):
            await _take(conn, caller, outcome, item, _event_id(caller, item.event_id, key, number))
    for aggregate in dict.fromkeys(outcome.aggregates):
        desk.dispatcher.notify(aggregate)
    await _send(desk, outcome.direct)
    return done(items=outcome.items)


@router.post(
    "/broadcast", status_code=201, summary="Publish messages", responses=shows("Broadcast", 201, published=int)
)
async def broadcast(
    body: BroadcastBody | Annotated[list[BroadcastBody], Field(min_length=1, max_length=AT_ONCE)],
    desk: Desk,
    caller: Publisher,
    key: IdempotencyKey = None,
) -> dict[str, Any]:
    """One message or up to 100 of them, `{stream, data, meta}`: all, or none when one is refused. They are out when this
    answers. Those that are kept are idempotent, for ten minutes, by `event_id` or the `Idempotency-Key`.
    """
    bodies = body if isinstance(body, list) else [body]
    async with desk.db.account(caller.account_id) as conn:
        for stream in dict.fromkeys(item.stream for item in bodies):
            await _check(conn, caller, stream)
    payloads = [_payload(item.data, item.stream) for item in bodies]
    kept = [
        Publication(item.stream, _event_id(caller, item.event_id, key, number), payload, item.meta.exclude_socket)
        for number, (item, payload) in enumerate(zip(bodies, payloads, strict=True))
        if not item.meta.transient
    ]
    await desk.publisher.publish_many(kept)
    for item, payload in zip(bodies, payloads, strict=True):
        if item.meta.transient:
            await desk.publisher.publish_transient(item.stream, payload, exclude_sid=item.meta.exclude_socket)
    return done(published=len(bodies))


def _event_id(caller: Principal, own: str | None, key: str | None, number: int) -> str:
    """Return what tells a repeat: within the account, by the event's own id or by the request's key and its place."""
    said = f"id:{own}" if own else f"key:{number}:{key}" if key else uuid4().hex
    return f"api:{caller.account_id}:{said}"


def _payload(data: str, stream: str) -> bytes:
    try:
        orjson.loads(data)
        # A raw line break in valid JSON is only space; over server-sent events it would end the line.
        payload = data.encode().translate(_SPACES)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        payload = orjson.dumps(data.encode("utf-8", "replace").decode())
    return _sized(payload, stream)


def _sized(payload: bytes, what: str) -> bytes:
    if len(payload) > MAX_EVENT_BYTES:
        raise EventTooLargeError(f"{what}: {len(payload)} bytes are more than {MAX_EVENT_BYTES}")
    return payload


async def _check(conn: AsyncConnection, caller: Principal, stream: str) -> None:
    """Refuse a stream that is not within the caller's prefixes, or not the account's."""
    _within(caller, stream)
    if not await is_owned(conn, caller.account_id, stream):
        raise NotFoundError("There is no such stream in your account")


def _within(caller: Principal, stream: str) -> None:
    if not caller.may_publish_to(stream):
        raise PermissionDeniedError("This token may not publish to that stream")


async def _take(conn: AsyncConnection, caller: Principal, outcome: _Done, body: EventBody, event_id: str) -> None:
    kind = EVENTS.get(body.name)
    if kind is None:
        raise InvalidInputError(f"name: there is no event {body.name[:100]!r} in the catalogue")
    recorder = RECORDERS.get(kind)
    if recorder is None:
        payload = {"timestamp": datetime.now(UTC).isoformat(), **body.payload}
        event = _valid(kind, payload, body.name)
        for stream in event.streams():
            await _check(conn, caller, stream)
        _sized(event.model_dump_json().encode(), body.name)
        outcome.direct.append((event, event_id))
        outcome.items.append(PublishedView(name=body.name, changed=True, streams=event.streams(), view=None))
        return
    recorded = await recorder.record(conn, _valid(recorder.report, body.payload, body.name))
    # The rows say which streams hear of it; the first is the thing's own. Refused, nothing of it stays.
    _within(caller, recorded.stream)
    for event in recorded.events:
        _sized(event.model_dump_json().encode(), body.name)
    outcome.aggregates += recorded.aggregates
    streams = list(dict.fromkeys(stream for event in recorded.events for stream in event.streams()))
    outcome.items.append(
        PublishedView(
            name=body.name,
            changed=bool(recorded.events),
            streams=streams or [recorded.stream],
            view=recorded.view.model_dump(mode="json"),
        )
    )


def _valid(model: type[BaseModel], payload: dict[str, Any], name: str) -> Any:
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        problems = [
            {"field": ".".join(("payload", *(str(part) for part in one["loc"]))), "message": one["msg"]}
            for one in error.errors()
        ]
        message = f"{name}: {problems[0]['field']}: {problems[0]['message']}"
        raise InvalidInputError(message, details={"errors": problems}) from error


async def _send(desk: Services, direct: Sequence[tuple[Event, str]]) -> None:
    kept = [
        Publication(stream, event_id, event.model_dump_json().encode())
        for event, event_id in direct
        if not event.transient
        for stream in event.streams()
    ]
    await desk.publisher.publish_many(kept)
    for event, _ in direct:
        if event.transient:
            for stream in event.streams():
                await desk.publisher.publish_transient(stream, event.model_dump_json().encode())
