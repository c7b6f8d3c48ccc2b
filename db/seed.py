"""The demo account: an administrator, an agent, and a channel per given platform. Run by `make up`; safe to repeat."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from db import accounts
from db.channels import token_hash
from db.credentials import CredentialBox
from db.session import async_url
from domain.permissions import Role

_CHANNEL: Final = text(
    """
    INSERT INTO chat_channels (id, account_id, platform, name, status, webhook_token, webhook_token_hash,
        rate_limit_per_minute, default_agent_id, credentials)
    VALUES (:id, :account_id, :platform, :name, 'connecting', :token, :token_hash, :rate, :agent_id, :credentials)
    """
)
_FIND: Final = text(
    "SELECT id, webhook_token FROM chat_channels"
    " WHERE account_id = :account_id AND platform = :platform AND name = :name"
)
_UPDATE: Final = text("UPDATE chat_channels SET credentials = :credentials WHERE id = :id")


@dataclass(frozen=True, slots=True)
class DemoChannel:
    """A demo channel; its webhook's path is `/api/v1/chat/webhooks/{webhook_token}`."""

    id: UUID
    webhook_token: str


@dataclass(frozen=True, slots=True)
class Demo:
    """What to seed. `channels`: platform -> credentials at its simulator."""

    email: str
    password_hash: str
    channels: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    provider: str = "local"
    model: str = "local"
    tools: tuple[str, ...] = ()
    rate_limit_per_minute: int = 1000


async def _channel(
    conn: AsyncConnection, account_id: UUID, agent_id: UUID, platform: str, demo: Demo, *, box: CredentialBox
) -> DemoChannel:
    name = f"Demo {platform}"
    credentials = demo.channels[platform]
    found = (await conn.execute(_FIND, {"account_id": account_id, "platform": platform, "name": name})).one_or_none()
    if found is not None:
        await conn.execute(_UPDATE, {"id": found.id, "credentials": box.seal(found.id, credentials)})
        return DemoChannel(found.id, found.webhook_token)
    channel_id, token = uuid4(), secrets.token_urlsafe(32)
    await conn.execute(
        _CHANNEL,
        {
            "id": channel_id,
            "account_id": account_id,
            "platform": platform,
            "name": name,
            "token": token,
            "token_hash": token_hash(token),
            "rate": demo.rate_limit_per_minute,
            "agent_id": agent_id,
            "credentials": box.seal(channel_id, credentials),
        },
    )
    return DemoChannel(channel_id, token)


async def seed(owner_url: str, demo: Demo, box: CredentialBox) -> dict[str, DemoChannel]:
    """Make the demo account, or find it. Returns its channels. Shape: platform -> channel."""
    engine = create_async_engine(async_url(owner_url), poolclass=NullPool)
    try:
        async with engine.begin() as conn:
            account_id = await accounts.create_account(conn, "Demo", "demo")
            await accounts.create_member(
                conn,
                account_id,
                email=demo.email,
                name="Demo administrator",
                password_hash=demo.password_hash,
                role=Role.OWNER,
            )
            agent_id = await accounts.create_agent(
                conn,
                account_id,
                name="Demo agent",
                slug="demo",
                provider=demo.provider,
                model=demo.model,
                system_prompt="You answer people who write to a small demo company. Be brief and friendly.",
                tools=demo.tools,
            )
            return {
                platform: await _channel(conn, account_id, agent_id, platform, demo, box=box)
                for platform in demo.channels
            }
    finally:
        await engine.dispose()
