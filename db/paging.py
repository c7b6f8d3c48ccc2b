"""Pages of lists whose statement counts all rows beside each (`count(*) OVER () AS total`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import TextualSelect


async def fetch_page(
    conn: AsyncConnection,
    statement: TextClause | TextualSelect,
    values: Mapping[str, object],
    *,
    limit: int,
    offset: int,
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page's rows and how many there are in all; beyond the last page the second is still true."""
    rows = (await conn.execute(statement, {**values, "limit": limit, "offset": offset})).all()
    if rows or not offset:
        return rows, rows[0].total if rows else 0
    first = (await conn.execute(statement, {**values, "limit": 1, "offset": 0})).first()
    return rows, first.total if first else 0
