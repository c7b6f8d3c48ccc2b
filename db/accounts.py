"""Making accounts, people, agents and service tokens. Runs as the owner role: from the seed, the CLI and tests."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.principals import service_token_hash
from domain.permissions import Permission, Role

SERVICE_TOKEN_PREFIX: Final = "pnst_"  # noqa: S105 - a prefix, not a secret

_ACCOUNT: Final = text(
    "INSERT INTO accounts (id, name, slug) VALUES (:id, :name, :slug)"
    " ON CONFLICT (slug) DO UPDATE SET name = excluded.name RETURNING id"
)
_USER: Final = text(
    "INSERT INTO users (id, email, name, password_hash) VALUES (:id, :email, :name, :password_hash)"
    " ON CONFLICT (lower(email)) DO UPDATE SET password_hash = excluded.password_hash RETURNING id"
)
_MEMBER: Final = text(
    "INSERT INTO memberships (account_id, user_id, role) VALUES (:account_id, :user_id, :role)"
    " ON CONFLICT (account_id, user_id) DO UPDATE SET role = excluded.role"
)
_PLATFORM_ADMIN: Final = text(
    "UPDATE users SET platform_admin = :granted WHERE lower(email) = lower(:email) RETURNING id"
)
_AGENT: Final = text(
    "INSERT INTO ai_agents (id, account_id, name, slug, provider, model, system_prompt, tools)"
    " VALUES (:id, :account_id, :name, :slug, :provider, :model, :system_prompt, :tools)"
    " ON CONFLICT (account_id, slug) DO UPDATE SET name = excluded.name RETURNING id"
)
_SERVICE: Final = text(
    "INSERT INTO service_tokens (id, account_id, name, token_hash, permissions, stream_prefixes)"
    " VALUES (:id, :account_id, :name, :hash, :permissions, :prefixes)"
)


async def create_account(conn: AsyncConnection, name: str, slug: str) -> UUID:
    """Create an account, or find it by its slug."""
    account_id: UUID = (await conn.execute(_ACCOUNT, {"id": uuid4(), "name": name, "slug": slug})).scalar_one()
    return account_id


async def create_member(
    conn: AsyncConnection, account_id: UUID, *, email: str, name: str, password_hash: str, role: Role
) -> UUID:
    """Create a person, or find them by their address, and give them a role in the account."""
    user_id: UUID = (
        await conn.execute(_USER, {"id": uuid4(), "email": email, "name": name, "password_hash": password_hash})
    ).scalar_one()
    await conn.execute(_MEMBER, {"account_id": account_id, "user_id": user_id, "role": role.value})
    return user_id


async def set_platform_admin(conn: AsyncConnection, email: str, *, granted: bool = True) -> UUID | None:
    """Make a person an administrator of the whole installation, or no longer; return who it is, None for nobody."""
    found: UUID | None = (
        await conn.execute(_PLATFORM_ADMIN, {"email": email, "granted": granted})
    ).scalar_one_or_none()
    return found


async def create_agent(
    conn: AsyncConnection,
    account_id: UUID,
    *,
    name: str,
    slug: str,
    provider: str,
    model: str,
    system_prompt: str = "",
    tools: Sequence[str] = (),
) -> UUID:
    """Create an agent, or find it by its slug."""
    agent_id: UUID = (
        await conn.execute(
            _AGENT,
            {
                "id": uuid4(),
                "account_id": account_id,
                "name": name,
                "slug": slug,
                "provider": provider,
                "model": model,
                "system_prompt": system_prompt,
                "tools": list(tools),
            },
        )
    ).scalar_one()
    return agent_id


async def create_service_token(
    conn: AsyncConnection,
    account_id: UUID,
    *,
    name: str,
    permissions: Sequence[Permission],
    stream_prefixes: Sequence[str] = (),
) -> str:
    """Create a service token and return it; only its hash is kept."""
    token = SERVICE_TOKEN_PREFIX + secrets.token_urlsafe(32)
    await conn.execute(
        _SERVICE,
        {
            "id": uuid4(),
            "account_id": account_id,
            "name": name,
            "hash": service_token_hash(token),
            "permissions": [permission.value for permission in permissions],
            "prefixes": list(stream_prefixes),
        },
    )
    return token
