"""What the writers of pipelines, jobs and the code factory share: one writer an account, and what a report changed.

Reports of one account are recorded one after the other, so that look-ups by the producers' ids can neither miss nor
double a row, and a batch can deadlock with no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Row, Table, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.rows import mapping
from db.telling import tell
from domain.events.base import Event
from domain.file_views import View

V = TypeVar("V", bound=View)
_ONE_WRITER: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('devops:' || app_account()::text, 2))")


@dataclass(frozen=True, slots=True)
class Recorded(Generic[V]):
    """What became of a report: the view, the stream that is first to hear of it, and the events that say what changed,
    none for a repeat or a late one.
    """

    view: V
    stream: str
    events: Sequence[Event] = ()
    aggregates: Sequence[Aggregate] = field(default_factory=tuple)


async def one_writer(conn: AsyncConnection) -> None:
    """Wait until no other transaction records reports of this account."""
    await conn.execute(_ONE_WRITER)


async def told(
    conn: AsyncConnection, view: V, events: Sequence[Event], aggregate: Aggregate, version: int
) -> Recorded[V]:
    """Leave events in the outbox, in the order of the aggregate's version."""
    await tell(conn, aggregate, version, *events)
    return Recorded(view, events[0].streams()[0], events, (aggregate,))


def changes(row: Row[Any], wanted: Mapping[str, object]) -> dict[str, object]:
    """Return what is wanted and not so yet. What was not reported (None) takes nothing away."""
    now = mapping(row)
    return {name: value for name, value in wanted.items() if value is not None and now[name] != value}


async def change(conn: AsyncConnection, table: Table, row_id: UUID, values: Mapping[str, object]) -> None:
    """Change a row and its version."""
    await conn.execute(update(table).where(table.c.id == row_id).values({**values, "version": table.c.version + 1}))


def view_of(kind: type[V], row: Row[Any] | None) -> V | None:
    """Build a view from a row that has its columns; None from none."""
    if row is None:
        return None
    found = mapping(row)
    return kind.model_validate({name: found[name] for name in kind.model_fields})
