"""One verified webhook becomes rows, in the caller's single transaction: raw delivery, items, session, message, outbox.

Nothing else may answer 2xx for a webhook (NO-LOSS-IN). The unique (channel_id, dedup_key) and the counters on locked
parent rows do the work of ONCE-IN; a repeat finds its keys taken and changes nothing. Called by api/webhooks.py and
by the connectors. This is the path that platforms wait on: a webhook with one message costs one round trip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import channel_status, outbox
from db.arrivals import ArrivingItem, message_json, record_message
from db.channels import ChannelRow
from db.edits import apply_edit
from db.loops import stopped_by_cap
from db.moves import move_session
from db.outbox import Aggregate
from db.receipts import apply_receipt
from db.rows import preview
from db.session import Database
from domain.channel import ChannelStatus
from domain.events.chat import WebhookQuarantined
from domain.message import TURN_KINDS, EventKind, InboundEvent
from domain.sanitize import storable

_KEPT_HEADERS: Final = ("content-type", "user-agent")
"""Signatures and secret tokens are not kept: once verified they are of no use to us, only to a thief."""

_RECORD: Final = text(
    """
    WITH delivery AS (
        INSERT INTO webhook_deliveries (id, account_id, channel_id, headers, body, outcome, reason, trace_id)
        VALUES (:delivery_id, app_account(), :channel_id, CAST(:headers AS jsonb), :body, :outcome, :reason, :trace_id)
        RETURNING id, received_at
    ), items AS (
        INSERT INTO inbound_events
            (id, account_id, channel_id, delivery_id, dedup_key, kind, raw_index, state, reason, target_message_id, data)
        SELECT r.id, app_account(), :channel_id, delivery.id, r.dedup_key, r.kind, r.raw_index, r.state, r.reason,
            r.target, r.data
        FROM delivery, jsonb_to_recordset(CAST(:items AS jsonb)) AS r(
            id uuid, dedup_key text, kind text, raw_index int, state text, reason text, target text, data jsonb)
        ORDER BY r.dedup_key
        ON CONFLICT (channel_id, dedup_key) DO NOTHING
        RETURNING id
    )
    SELECT delivery.received_at, (SELECT array_agg(items.id) FROM items) AS fresh,
        ARRAY(
            SELECT b.platform_user_id FROM chat_blacklists b
            WHERE b.platform_user_id = ANY(:senders) AND (b.channel_id IS NULL OR b.channel_id = :channel_id)
              AND (b.expires_at IS NULL OR b.expires_at > now())
        ) AS blocked
    FROM delivery
    """
)
_INGEST_MESSAGE: Final = "SELECT flow.ingest_message($1, $2, $3, $4, $5)"
_CONDITIONS: Final = frozenset({"only_in_known_session", "lifecycle", "moved_from"})
"""Metadata that says that more is to be looked at, or done, than to store a message."""
_CHANNEL_CHANGED: Final = "PN002"
_KNOWN: Final = text("SELECT 1 FROM chat_sessions WHERE channel_id = :channel_id AND session_key = :session_key")
_IGNORE: Final = text("UPDATE inbound_events SET state = 'ignored', reason = :reason WHERE id = :id")
_BUMP_CHANNEL: Final = text("UPDATE chat_channels SET version = version + 1 WHERE id = :id RETURNING version")


@dataclass(frozen=True, slots=True)
class RawWebhook:
    """A webhook as it came, and the trace id under which its story is told."""

    body: bytes
    headers: Mapping[str, Sequence[str]]
    trace_id: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a webhook led to. `fresh`: how many of its items were new; `aggregates`: whose outbox rows wait."""

    fresh: int
    aggregates: tuple[Aggregate, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """An inbound event with the row that it became."""

    row_id: UUID
    event: InboundEvent
    state: str
    reason: str | None


class NothingNewError(Exception):
    """Every item of the webhook was stored before: the transaction is given up, so that a repeat leaves no trace."""


class ChannelChangedError(Exception):
    """The channel is not what the webhook was verified and parsed with: read it again and start over."""


def _item(event: InboundEvent) -> Item:
    if event.ignored is not None:
        return Item(uuid4(), event, "ignored", event.ignored)
    if event.kind is EventKind.UNKNOWN:
        return Item(uuid4(), event, "quarantined", storable(event.text)[:1000] or "not understood")
    if event.kind in TURN_KINDS or event.kind in {EventKind.EDIT, EventKind.STATUS}:
        return Item(uuid4(), event, "recorded", None)
    return Item(uuid4(), event, "ignored", f"{event.kind.value} items open no turn")


def _item_row(item: Item) -> dict[str, object]:
    event = item.event
    status = event.status
    return {
        "id": str(item.row_id),
        "dedup_key": storable(event.dedup_key),
        "kind": event.kind.value,
        "raw_index": event.raw_index,
        "state": item.state,
        "reason": item.reason,
        "target": status.platform_message_id if status else event.target_message_id,
        "data": {"status": status.status.value, "reason": status.reason, "code": status.code} if status else {},
    }


def _kept(headers: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(headers[name]) for name in _KEPT_HEADERS if name in headers}


async def _store(
    conn: AsyncConnection, channel: ChannelRow, raw: RawWebhook, items: Sequence[Item], reason: str | None
) -> Any:
    delivery_id = uuid4()
    stored = await conn.execute(
        _RECORD,
        {
            "delivery_id": delivery_id,
            "channel_id": channel.id,
            "headers": orjson.dumps(_kept(raw.headers)).decode(),
            "body": raw.body,
            "outcome": "quarantined" if reason else "recorded",
            "reason": reason,
            "trace_id": raw.trace_id,
            "items": orjson.dumps([_item_row(item) for item in items]).decode(),
            "senders": [storable(item.event.sender.id) for item in items],
        },
    )
    return delivery_id, stored.one()


async def _known(conn: AsyncConnection, channel: ChannelRow, event: InboundEvent) -> bool:
    """Whether somebody talked with us in this thread before."""
    found = await conn.execute(_KNOWN, {"channel_id": channel.id, "session_key": storable(event.session_key)})
    return found.first() is not None


async def quarantine(conn: AsyncConnection, channel: ChannelRow, raw: RawWebhook, reason: str) -> Ingested:
    """Set a verified but unreadable webhook aside with its reason, and tell who watches the channel."""
    delivery_id, stored = await _store(conn, channel, raw, (), storable(reason)[:1000])
    version: int = (await conn.execute(_BUMP_CHANNEL, {"id": channel.id})).scalar_one()
    aggregate = outbox.channel_aggregate(channel.account_id, channel.id)
    event = WebhookQuarantined(
        timestamp=stored.received_at, channel_id=channel.id, delivery_id=delivery_id, reason=preview(reason)
    )
    await outbox.write(conn, aggregate, version, [outbox.event_row(event)], raw.trace_id)
    return Ingested(fresh=1, aggregates=(aggregate,))


async def store(
    db: Database,
    channel: ChannelRow,
    raw: RawWebhook,
    events: Sequence[InboundEvent],
    *,
    deferred_until: datetime | None = None,
) -> Ingested:
    """Store a parsed webhook in a transaction of its own. As `record_inbound`; raises UnavailableError too, and for a
    plain one ChannelChangedError when the channel's version is not the stored one.
    """
    if is_plain(events):
        return await _store_message(db, channel, raw, events[0], deferred_until)
    async with db.account(channel.account_id) as conn:
        return await record_inbound(conn, channel, raw, events, deferred_until=deferred_until)


def is_plain(events: Sequence[InboundEvent]) -> bool:
    """Whether a webhook is one message and nothing else happens with it."""
    if len(events) != 1:
        return False
    event = events[0]
    if event.sender.is_bot:
        return False
    return event.kind in TURN_KINDS and event.ignored is None and not event.metadata.keys() & _CONDITIONS


async def _store_message(
    db: Database, channel: ChannelRow, raw: RawWebhook, event: InboundEvent, deferred_until: datetime | None
) -> Ingested:
    message = message_json(channel, event, deferred_until) | {
        "headers": _kept(raw.headers),
        "trace_id": raw.trace_id,
        "inbound_event_id": uuid4(),
        "dedup_key": storable(event.dedup_key),
        "kind": event.kind.value,
        "raw_index": event.raw_index,
        "target": event.target_message_id,
    }
    try:
        row = await db.call(_INGEST_MESSAGE, channel.account_id, channel.id, channel.version, raw.body, message)
    except asyncpg.PostgresError as error:
        if error.sqlstate == _CHANNEL_CHANGED:
            raise ChannelChangedError from error
        raise
    session_id: UUID | None = row[0] if row else None
    if session_id is None:
        raise NothingNewError
    return Ingested(1, (outbox.session_aggregate(channel.account_id, session_id),))


async def record_inbound(
    conn: AsyncConnection,
    channel: ChannelRow,
    raw: RawWebhook,
    events: Sequence[InboundEvent],
    *,
    deferred_until: datetime | None = None,
) -> Ingested:
    """Store a parsed webhook. `deferred_until`: over the channel's rate limit, to be processed then.

    Idempotent by each item's dedup key. Raises NothingNewError when there is nothing to store, which rolls back.
    """
    # One order for everybody who locks several sessions: no deadlock between two batches.
    items = sorted((_item(event) for event in events), key=lambda item: (item.event.session_key, item.event.order_key))
    unreadable = [item.reason for item in items if item.state == "quarantined"]
    reason = unreadable[0] if unreadable and len(unreadable) == len(items) else None
    _, stored = await _store(conn, channel, raw, items, reason)
    fresh: set[UUID] = set(stored.fresh or ())
    if items and not fresh:
        raise NothingNewError
    blocked = set(stored.blocked)
    aggregates: dict[str, Aggregate] = {}
    for item in items:
        if item.row_id in fresh and item.state == "recorded":
            aggregate = await _apply(conn, channel, raw, item, blocked=blocked, deferred_until=deferred_until)
            if aggregate is not None:
                aggregates[aggregate.name] = aggregate
    for item in items:
        if item.row_id in fresh:
            changed = await _happen(conn, channel, item.event.metadata)
            aggregates |= {changed.name: changed} if changed else {}
    return Ingested(fresh=len(fresh), aggregates=tuple(aggregates.values()))


async def _happen(conn: AsyncConnection, channel: ChannelRow, told: Mapping[str, str]) -> Aggregate | None:
    """Take note of what an item says about the channel itself, whether or not it opens a turn."""
    moved: Aggregate | None = None
    if "moved_from" in told:
        moved = await move_session(conn, channel, told["moved_from"], told["moved_to"])
    if not told.get("lifecycle"):
        return moved
    error = f"The platform reports: {told['lifecycle']}"
    return await channel_status.change(conn, channel.account_id, channel.id, ChannelStatus.ERROR, error=error)


async def _apply(
    conn: AsyncConnection,
    channel: ChannelRow,
    raw: RawWebhook,
    item: Item,
    *,
    blocked: set[str],
    deferred_until: datetime | None,
) -> Aggregate | None:
    if item.event.kind is EventKind.STATUS:
        return await apply_receipt(conn, channel, item.row_id, item.event, raw.trace_id)
    if item.event.kind is EventKind.EDIT:
        return await apply_edit(conn, channel, item.row_id, item.event, raw.trace_id)
    if item.event.metadata.get("only_in_known_session") and not await _known(conn, channel, item.event):
        await conn.execute(_IGNORE, {"id": item.row_id, "reason": "in a thread that we take no part in"})
        return None
    if item.event.sender.is_bot and (reason := await stopped_by_cap(conn, channel, item.event)):
        await conn.execute(_IGNORE, {"id": item.row_id, "reason": reason})
        return None
    arriving = ArrivingItem(item.row_id, item.event, raw.trace_id, storable(item.event.sender.id) in blocked)
    return await record_message(conn, channel, arriving, deferred_until=deferred_until)
