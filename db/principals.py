"""Who is calling: people by login or access token, services by their token; and how a token stops to be valid.

Every look-up is one round trip, and the ones that know the account enter it there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.permissions import ROLE_PERMISSIONS, Permission, Role

_HOLD: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:token_id, 1))")
_LOGIN: Final = text("SELECT * FROM find_login(:email)")
_OPEN: Final = text("SELECT * FROM open_principal(:user_id, :account_id, :token_id, :issued_at)")
_STILL: Final = text(
    """
    SELECT p.role FROM unnest(CAST(:users AS uuid[]), CAST(:tokens AS text[]), CAST(:issued AS timestamptz[]))
        WITH ORDINALITY AS held (user_id, token_id, issued_at, place)
    LEFT JOIN LATERAL open_principal(held.user_id, CAST(:account_id AS uuid), held.token_id, held.issued_at) p ON true
    ORDER BY held.place
    """
)
_MEMBER: Final = text("SELECT 1 FROM memberships WHERE user_id = :user_id AND account_id = app_account()")
_SERVICE: Final = text("SELECT * FROM open_service(:hash)")
_REVOKE: Final = text("SELECT revoke_token(:token_id, :expires_at)")


@dataclass(frozen=True, slots=True)
class Login:
    """A person who may log in, and the account that they get into."""

    user_id: UUID
    email: str
    name: str
    password_hash: str
    account_id: UUID
    account_name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Member:
    """A person in an account, as a valid token finds them."""

    email: str
    name: str
    role: Role
    permissions: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class Service:
    """A service token's scope."""

    id: UUID
    account_id: UUID
    name: str
    permissions: frozenset[Permission]
    stream_prefixes: tuple[str, ...]


async def find_login(conn: AsyncConnection, email: str) -> Login | None:
    """Return the active person with this address and their first account; None when there is none."""
    row = (await conn.execute(_LOGIN, {"email": email})).first()
    if row is None:
        return None
    return Login(row.user_id, row.email, row.name, row.password_hash, row.account_id, row.account_name, Role(row.role))


async def open_member(
    conn: AsyncConnection, user_id: UUID, account_id: UUID, token_id: str, issued_at: datetime
) -> Member | None:
    """Enter the account as this person; None when they left it, are inactive, the account is not active, or
    the token was revoked. A platform administrator has `system.admin` beside what the role may.
    """
    row = (
        await conn.execute(
            _OPEN, {"user_id": user_id, "account_id": account_id, "token_id": token_id, "issued_at": issued_at}
        )
    ).one_or_none()
    if row is None:
        return None
    role = Role(row.role)
    extra = {Permission.SYSTEM_ADMIN} if row.platform_admin else set[Permission]()
    return Member(row.email, row.name, role, ROLE_PERMISSIONS[role] | extra)


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody was let in with, some time ago."""

    user_id: UUID
    token_id: str
    issued_at: datetime


async def still_granted(
    conn: AsyncConnection, account_id: UUID, held: Sequence[Held]
) -> list[frozenset[Permission] | None]:
    """Return what each may do in the entered account now, in the same order; None for who may not come in any more."""
    values = {
        "account_id": account_id,
        "users": [one.user_id for one in held],
        "tokens": [one.token_id for one in held],
        "issued": [one.issued_at for one in held],
    }
    rows = (await conn.execute(_STILL, values)).scalars().all()
    return [None if role is None else ROLE_PERMISSIONS[Role(role)] for role in rows]


def service_token_hash(token: str) -> bytes:
    """Return what a service token is looked up by."""
    return hashlib.sha256(token.encode()).digest()


async def is_member(conn: AsyncConnection, user_id: UUID) -> bool:
    """Whether a person belongs to the account of this transaction."""
    return (await conn.execute(_MEMBER, {"user_id": user_id})).first() is not None


async def open_service(conn: AsyncConnection, token: str) -> Service | None:
    """Return a service token's scope; None when it is unknown or revoked."""
    row = (await conn.execute(_SERVICE, {"hash": service_token_hash(token)})).one_or_none()
    if row is None:
        return None
    # A permission that no longer exists is one that it does not have.
    permissions = frozenset(permission for permission in Permission if permission.value in row.permissions)
    return Service(row.id, row.account_id, row.name, permissions, tuple(row.stream_prefixes))


async def hold(conn: AsyncConnection, token_id: str) -> None:
    """Keep others from using the same token until this transaction ends: of two that refresh at once, one wins."""
    await conn.execute(_HOLD, {"token_id": token_id})


async def revoke(conn: AsyncConnection, token_id: str, expires_at: datetime) -> None:
    """Make a token invalid from now on. Idempotent."""
    await conn.execute(_REVOKE, {"token_id": token_id, "expires_at": expires_at})
