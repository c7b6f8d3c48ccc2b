"""Rows that are watched live: found, listed and moved from status to status in one way, whatever they are.

A view is built by Postgres as one JSON object, for lists, items, events and first frames alike. Who changes a row holds its
lock until the commit, and its `version` is what the row's events leave by (ruling 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Table, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import TextualSelect

from db import outbox
from db.outbox import Aggregate
from db.paging import fetch_page
from domain.errors import ConflictError, NotFoundError
from domain.events.base import Event
from domain.ids import as_uuid
from domain.views import View

V = TypeVar("V", bound=View)

UUID_FILTER: Final = "(CAST(:{name} AS uuid) IS NULL OR {column} = :{name})"
TEXT_FILTER: Final = "(CAST(:{name} AS text) IS NULL OR {column} = :{name})"
BEGUN: Final = frozenset({"running", "provisioning"})
ENDED: Final = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Watched(Generic[V]):
    """How one kind of row is selected. `filters`: name of the query's parameter -> its SQL."""

    noun: str
    table: Table
    view: type[V]
    columns: str
    source: str
    alias: str
    public_id: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict[str, str])

    def _select(self, where: str) -> TextualSelect:
        statement = (
            f"SELECT to_jsonb(x) AS view, now() AS at FROM (SELECT {self.columns} FROM {self.source} WHERE {where}) x"  # noqa: S608 - constant columns
        )
        return text(statement).columns(view=JSONB)

    def _list(self) -> TextualSelect:
        where = " AND ".join(self.filters.values()) or "true"
        return text(
            f"""
            SELECT to_jsonb(x) - 'total' AS view, x.total FROM (
                SELECT {self.columns}, count(*) OVER () AS total FROM {self.source} WHERE {where}
                ORDER BY {self.alias}.created_at DESC, {self.alias}.id LIMIT :limit OFFSET :offset
            ) x ORDER BY x.created_at DESC, x.id
            """  # noqa: S608 - constant columns
        ).columns(view=JSONB)

    async def listing(
        self, conn: AsyncConnection, *, limit: int = 25, offset: int = 0, **wanted: object
    ) -> tuple[list[V], int]:
        """Return a page, the latest first, and how many there are. `wanted`: by the names of `filters`."""
        values = {name: wanted.get(name) for name in self.filters}
        rows, total = await fetch_page(conn, self._list(), values, limit=limit, offset=offset)
        return [self.view.model_validate(row.view) for row in rows], total

    async def find(self, conn: AsyncConnection, key: str) -> V | None:
        """Return one by its id, or its public id where it has one; None when the entered account has no such one."""
        where, values = f"{self.alias}.id = CAST(:row_id AS uuid)", {"row_id": as_uuid(key)}
        if self.public_id is not None:
            where = f"({where} OR {self.alias}.{self.public_id} = :key)"
            values["key"] = key  # pyright: ignore[reportArgumentType]
        row = (await conn.execute(self._select(where), values)).one_or_none()
        return None if row is None else self.view.model_validate(row.view)

    async def get(self, conn: AsyncConnection, key: str) -> V:
        """As `find`. Raises NotFoundError."""
        found = await self.find(conn, key)
        if found is None:
            raise NotFoundError(f"No such {self.noun}")
        return found

    async def now(self, conn: AsyncConnection, row_id: UUID) -> tuple[V, datetime]:
        """Return a row that exists, and the transaction's time."""
        row = (await conn.execute(self._select(f"{self.alias}.id = :row_id"), {"row_id": row_id})).one()
        return self.view.model_validate(row.view), row.at

    async def change(self, conn: AsyncConnection, row_id: UUID, values: Mapping[str, Any]) -> int:
        """Change a row and return its new version, one more than before unless `values` says. Raises NotFoundError."""
        changed = (
            update(self.table)
            .where(self.table.c.id == row_id)
            .values({"version": self.table.c.version + 1, **values})
            .returning(self.table.c.version)
        )
        version: int | None = (await conn.execute(changed)).scalar_one_or_none()
        if version is None:
            raise NotFoundError(f"No such {self.noun}")
        return version

    async def lock(self, conn: AsyncConnection, row_id: UUID) -> Mapping[str, Any]:
        """Lock a row and return it as it is stored. Raises NotFoundError."""
        row = (
            (await conn.execute(select(self.table).where(self.table.c.id == row_id).with_for_update()))
            .mappings()
            .one_or_none()
        )
        if row is None:
            raise NotFoundError(f"No such {self.noun}")
        return {str(name): value for name, value in row.items()}

    async def step(
        self,
        conn: AsyncConnection,
        row_id: UUID,
        status: StrEnum,
        steps: Mapping[Any, frozenset[Any]],
        values: Mapping[str, Any],
    ) -> bool:
        """Move a row to a status; False when it has that status already, and then nothing is changed.

        Raises NotFoundError, ConflictError when no step leads there.
        """
        before = (await self.lock(conn, row_id))["status"]
        if before == status:
            return False
        if before not in steps[status]:
            raise ConflictError(f"A {self.noun} that is {before} cannot become {status.value}")
        await self.change(conn, row_id, {"status": status.value, **self._moments(status), **values})
        return True

    def _moments(self, status: StrEnum) -> dict[str, Any]:
        """Return what a status says about when: work that goes on began once, and has not ended."""
        if status.value in BEGUN:
            return {"started_at": func.coalesce(self.table.c.started_at, func.now()), "completed_at": None}
        if status.value == "cancelled" and "cancelled_at" in self.table.c:
            return {"cancelled_at": func.now()}
        return {"completed_at": func.now()} if status.value in ENDED else {}


@dataclass(frozen=True, slots=True)
class Told(Generic[V]):
    """A row as a change left it, and whose events wait in the outbox: tell the dispatcher once the change is committed."""

    view: V
    aggregates: tuple[Aggregate, ...]


async def tell(conn: AsyncConnection, aggregate: Aggregate, version: int, events: Sequence[Event]) -> Aggregate:
    """Write events in the transaction that made them true; returns the aggregate, for the dispatcher."""
    if events:
        await outbox.write(conn, aggregate, version, [outbox.event_row(event) for event in events], "")
    return aggregate
