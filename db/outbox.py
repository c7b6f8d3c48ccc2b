"""The outbox: what a transaction decided must leave Postgres, kept beside the data it speaks of.

Here rows are only written, claimed and deleted; activities/dispatch.py carries them to Temporal and Redis. Rows of one
aggregate leave in the order of its version, under an advisory lock (ruling 9); a late or repeated one does no harm,
because signals carry arrival numbers and events carry ids and versions.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.session import Database
from domain.events.base import Event

SWEEP_AFTER: Final = timedelta(seconds=2)

_INSERT: Final = text(
    """
    INSERT INTO outbox (account_id, aggregate, aggregate_version, kind, name, streams, data, trace_id)
    SELECT app_account(), :aggregate, :version, r.kind, r.name, r.streams, r.data, :trace_id
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(kind text, name text, streams text[], data jsonb)
    """
)
_TAKE: Final = "SELECT id, kind, name, data, streams, trace_id FROM flow.outbox_take($1, $2)"
_DONE: Final = "SELECT flow.outbox_done($1, $2, $3)"
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
    """One thing to be carried out. kind `signal`: `name` is the workflow's signal; kind `event`: `data`, JSON text, is
    the payload. What one stored row stands for has ids of its own: one is the stored row's, the others are negative.
    """

    id: int
    kind: str
    name: str
    data: str
    streams: list[str]
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


@asynccontextmanager
async def taken(db: Database, aggregate: Aggregate) -> AsyncGenerator[list[OutboxRow] | None]:
    """Take an aggregate's rows in order, up to 200, and delete them when the block ends well; None when another has them.

    An error leaves the rows. The lock belongs to the connection, which is given up with it (flow.outbox_take).
    """
    async with db.connection() as conn:
        done = False
        try:
            found = await conn.fetch(_TAKE, aggregate.account_id, aggregate.name)
            if not found:
                done = True
                yield None
                return
            rows = [OutboxRow(*row) for row in found if row["id"] is not None]
            yield rows
            await conn.execute(_DONE, aggregate.account_id, aggregate.name, [row.id for row in rows])
            done = True
        except Exception:
            # The lock is given back at once, and nothing is deleted; a connection that cannot even do that is given up.
            with suppress(Exception):
                await conn.execute(_DONE, aggregate.account_id, aggregate.name, [])
                done = True
            raise
        finally:
            if not done:
                conn.terminate()


async def waiting(conn: AsyncConnection, *, older_than: timedelta = SWEEP_AFTER, at_most: int = 500) -> list[Aggregate]:
    """Return aggregates of all accounts with rows older than `older_than`, the oldest first."""
    found = await conn.execute(_WAITING, {"older_than": older_than, "at_most": at_most})
    return [Aggregate(row.account_id, row.aggregate) for row in found]


async def backlog(conn: AsyncConnection) -> tuple[int, float]:
    """Return how many rows wait, over all accounts, and the oldest one's age in seconds."""
    found = (await conn.execute(_BACKLOG)).one()
    return found.waiting, found.oldest_age_s
