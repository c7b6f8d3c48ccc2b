"""Rows that tests start from: an account with an agent, a person and a channel, made as the owner of the tables."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text

from db import accounts
from db.channels import token_hash
from db.credentials import CredentialBox
from db.session import Database
from domain.message import EventKind, InboundEvent, ReplyAddress, Sender
from domain.permissions import Role

BOX = CredentialBox([base64.b64encode(b"0" * 32).decode()])
PASSWORD_HASH = "$argon2id$v=19$m=65536,t=3,p=4$not-a-real-one"


@dataclass(frozen=True)
class Tenant:
    """An account with one of each."""

    account_id: UUID
    user_id: UUID
    agent_id: UUID
    channel_id: UUID
    webhook_token: str
    email: str


@dataclass(frozen=True)
class Wish:
    """What a test wants of its channel."""

    platform: str = "telegram"
    credentials: Mapping[str, str] = field(default_factory=dict[str, str])
    configuration: Mapping[str, object] = field(default_factory=dict[str, object])
    tools: tuple[str, ...] = ()
    rate: int = 1000
    role: Role = Role.OWNER
    password_hash: str = PASSWORD_HASH
    provider: str = "local"


async def make_tenant(owner_url: str, wish: Wish | None = None) -> Tenant:
    """Make an account of its own."""
    wanted = wish or Wish()
    mark = uuid4().hex[:12]
    channel_id, token, email = uuid4(), uuid4().hex, f"{mark}@example.org"
    database = Database(owner_url, pool_size=1, max_overflow=0)
    async with database.open() as conn:
        account_id = await accounts.create_account(conn, f"Account {mark}", mark)
        user_id = await accounts.create_member(
            conn, account_id, email=email, name="Olga", password_hash=wanted.password_hash, role=wanted.role
        )
        agent_id = await accounts.create_agent(
            conn, account_id, name="Ada", slug="ada", provider=wanted.provider, model="local", tools=wanted.tools
        )
        await conn.execute(
            text(
                "INSERT INTO chat_channels (id, account_id, platform, name, status, webhook_token, webhook_token_hash,"
                " rate_limit_per_minute, configuration, credentials, default_agent_id) VALUES (:id, :account_id,"
                " :platform, :name, 'connected', :token, :hash, :rate, CAST(:configuration AS jsonb), :credentials,"
                " :agent_id)"
            ),
            {
                "id": channel_id,
                "account_id": account_id,
                "platform": wanted.platform,
                "name": f"Channel {mark}",
                "token": token,
                "hash": token_hash(token),
                "rate": wanted.rate,
                "configuration": orjson.dumps(dict(wanted.configuration)).decode(),
                "credentials": BOX.seal(channel_id, wanted.credentials),
                "agent_id": agent_id,
            },
        )
    await database.close()
    return Tenant(account_id, user_id, agent_id, channel_id, token, email)


def inbound(
    number: int, *, chat: str = "c1", said: str | None = None, kind: EventKind = EventKind.MESSAGE
) -> InboundEvent:
    """Return an inbound message as an adapter would make it."""
    return InboundEvent(
        dedup_key=f"u:{chat}:{number}:{kind}",
        order_key=f"{number:012d}",
        kind=kind,
        session_key=chat,
        reply_to=ReplyAddress(chat=chat, message=str(number)),
        sender=Sender(id=f"user-{chat}", name="Alice", username="alice"),
        message_id=str(number),
        text=f"hello {number}" if said is None else said,
        occurred_at=datetime.now(UTC),
    )
