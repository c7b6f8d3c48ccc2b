"""Service tokens as their account manages them: made, listed, revoked. How they are looked up: principals.py."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.devops_rows import view_of
from db.paging import fetch_page
from domain.devops_views import ServiceTokenView
from domain.errors import NotFoundError

_COLUMNS: Final = "id, name, permissions, stream_prefixes, created_at, last_used_at, revoked_at"
_BY_HASH: Final = text(f"SELECT {_COLUMNS} FROM service_tokens WHERE token_hash = :hash")  # noqa: S608
_LIST: Final = text(
    f"SELECT {_COLUMNS}, count(*) OVER () AS total FROM service_tokens"  # noqa: S608 - constant columns
    " ORDER BY revoked_at IS NOT NULL, created_at DESC, id LIMIT :limit OFFSET :offset"
)
_REVOKE: Final = text(
    "UPDATE service_tokens SET revoked_at = COALESCE(revoked_at, now())"  # noqa: S608 - constant columns
    f" WHERE id = :id RETURNING {_COLUMNS}"
)


async def by_hash(conn: AsyncConnection, token_hash: bytes) -> ServiceTokenView:
    """Return a token that was just made."""
    view = view_of(ServiceTokenView, (await conn.execute(_BY_HASH, {"hash": token_hash})).one())
    assert view is not None
    return view


async def listing(conn: AsyncConnection, *, limit: int, offset: int) -> tuple[list[ServiceTokenView], int]:
    """Return a page, the valid ones first, and how many there are."""
    rows, total = await fetch_page(conn, _LIST, {}, limit=limit, offset=offset)
    return [view for row in rows if (view := view_of(ServiceTokenView, row))], total


async def revoke(conn: AsyncConnection, token_id: UUID) -> ServiceTokenView:
    """Make a token invalid from now on. Idempotent. Raises NotFoundError."""
    view = view_of(ServiceTokenView, (await conn.execute(_REVOKE, {"id": token_id})).one_or_none())
    if view is None:
        raise NotFoundError("No such service token")
    return view
