"""The outbox: what a transaction decided must leave Postgres, kept beside the data it speaks of.

Here rows are only written, claimed and deleted; activities/dispatch.py carries them to Temporal and Redis. Rows of one
aggregate leave in the order of its version, under an advisory lock (ruling 9); a late or repeated one does no harm,
because signals carry arrival numbers and events carry ids and versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.events import Event

SWEEP_AFTER: Final = timedelta(seconds=2)

_INSERT: Final = text(
    """
    INSERT INTO outbox (account_id, aggregate, aggregate_version, kind, name, streams, data, trace_id)
    SELECT app_account(), :aggregate, :version, r.kind, r.name, r.streams, r.data, :trace_id
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(kind text, name text, streams text[], data jsonb)
    """
)
_CLAIM: Final = text(
    """
    WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended(:aggregate, 0)) AS locked)
    SELECT o.id, o.kind, o.name, o.streams, o.data, o.trace_id, mine.locked
    FROM mine LEFT JOIN outbox o ON mine.locked AND o.aggregate = :aggregate
    ORDER BY o.aggregate_version, o.id LIMIT 200
    """
).columns(data=JSONB)
_DELETE: Final = text("DELETE FROM outbox WHERE id = ANY(:ids)")
_WAITING: Final = text("SELECT account_id, aggregate FROM waiting_aggregates(:older_than, :at_most)")
_BACKLOG: Final = text("SELECT waiting, oldest_age_s FROM outbox_backlog()")


def json_text(value: object) -> str:
    """Return a value as JSON text, for a `CAST(... AS jsonb)` parameter."""
    return orjson.dumps(value).decode()


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Whose rows leave in order: a session or a channel of one account."""

    account_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One thing to be carried out. kind `signal`: `name` is the workflow's signal; kind `event`: `data` is the payload."""

    id: int
    kind: str
    name: str
    streams: list[str]
    data: dict[str, Any]
    trace_id: str


def session_aggregate(account_id: UUID, session_id: UUID) -> Aggregate:
    """Return a session's aggregate; its version is `chat_sessions.version`."""
    return Aggregate(account_id, f"session:{session_id}")


def channel_aggregate(account_id: UUID, channel_id: UUID) -> Aggregate:
    """Return a channel's aggregate; its version is `chat_channels.version`."""
    return Aggregate(account_id, f"channel:{channel_id}")


def signal_row(name: str, data: dict[str, object]) -> dict[str, object]:
    """Shape a workflow signal for `write`."""
    return {"kind": "signal", "name": name, "streams": [], "data": data}


def event_row(event: Event) -> dict[str, object]:
    """Shape an event for `write`."""
    return {
        "kind": "event",
        "name": type(event).__name__,
        "streams": event.streams(),
        "data": event.model_dump(mode="json"),
    }


async def write(
    conn: AsyncConnection, aggregate: Aggregate, version: int, rows: Sequence[dict[str, object]], trace_id: str
) -> None:
    """Write rows in the caller's transaction, which holds the aggregate's row lock at `version`."""
    await conn.execute(
        _INSERT,
        {"aggregate": aggregate.name, "version": version, "rows": orjson.dumps(rows).decode(), "trace_id": trace_id},
    )


async def claim(conn: AsyncConnection, aggregate: Aggregate) -> list[OutboxRow] | None:
    """Lock the aggregate until the transaction ends and return its rows in order; None when another has the lock."""
    found = (await conn.execute(_CLAIM, {"aggregate": aggregate.name})).all()
    if found and not found[0].locked:
        return None
    return [
        OutboxRow(id=row.id, kind=row.kind, name=row.name, streams=row.streams, data=row.data, trace_id=row.trace_id)
        for row in found
        if row.id is not None
    ]


async def delete(conn: AsyncConnection, ids: Sequence[int]) -> None:
    """Delete rows that were carried out."""
    await conn.execute(_DELETE, {"ids": list(ids)})


async def waiting(conn: AsyncConnection, *, older_than: timedelta = SWEEP_AFTER, at_most: int = 500) -> list[Aggregate]:
    """Return aggregates of all accounts with rows older than `older_than`, the oldest first."""
    found = await conn.execute(_WAITING, {"older_than": older_than, "at_most": at_most})
    return [Aggregate(row.account_id, row.aggregate) for row in found]


async def backlog(conn: AsyncConnection) -> tuple[int, float]:
    """Return how many rows wait, over all accounts, and the oldest one's age in seconds."""
    found = (await conn.execute(_BACKLOG)).one()
    return found.waiting, found.oldest_age_s
