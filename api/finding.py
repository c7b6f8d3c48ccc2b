"""What a finder is: how one kind of thing is found in the entered account, by the text of its id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.ids import as_uuid

V = TypeVar("V")
Finder = Callable[[AsyncConnection, str], Awaitable[object | None]]


def by_id(
    find: Callable[[AsyncConnection, UUID], Awaitable[V | None]],
) -> Callable[[AsyncConnection, str], Awaitable[V | None]]:
    """Return a finder by UUID; what is no UUID is not found."""

    async def finder(conn: AsyncConnection, key: str) -> V | None:
        row_id = as_uuid(key)
        return None if row_id is None else await find(conn, row_id)

    return finder
