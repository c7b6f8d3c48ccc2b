"""A channel as the processes use it: found by its webhook token or its id. Lists and edits are in channel_views.py."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.session import Database
from db.tables import chat_channels
from domain.channel import ChannelStatus
from domain.errors import NotFoundError

_COLUMNS: Final = (
    "id, account_id, platform, name, status, webhook_token, rate_limit_per_minute, configuration, credentials,"
    " identity, default_agent_id, send_paused_until, version"
)
_FIND: Final = f"SELECT {_COLUMNS} FROM open_channel($1)"  # noqa: S608 - constant columns
_BY_ID: Final = text(f"SELECT {_COLUMNS} FROM chat_channels WHERE id = :id").columns(  # noqa: S608 - constant columns
    configuration=JSONB, identity=JSONB
)


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel; `credentials` are sealed (see credentials.py)."""

    id: UUID
    account_id: UUID
    platform: str
    name: str
    status: str
    webhook_token: str
    rate_limit_per_minute: int
    configuration: dict[str, object]
    credentials: bytes | None
    identity: dict[str, str]
    default_agent_id: UUID | None
    send_paused_until: datetime | None
    version: int


def token_hash(token: str) -> bytes:
    """Return what a webhook token is looked up by: an index over hashes tells an attacker nothing by its timing."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _row(found: Row[Any]) -> ChannelRow:
    return ChannelRow(*found)


async def find_channel(db: Database, token: str) -> ChannelRow | None:
    """Find a channel by webhook token, in one round trip and without a transaction; None for an unknown token."""
    found = await db.call(_FIND, token_hash(token))
    return None if found is None else ChannelRow(*found)


async def load_channel(conn: AsyncConnection, channel_id: UUID) -> ChannelRow:
    """Return a channel of the entered account. Raises NotFoundError."""
    found = (await conn.execute(_BY_ID, {"id": channel_id})).one_or_none()
    if found is None:
        raise NotFoundError("No such channel")
    return _row(found)


async def pause_sending(conn: AsyncConnection, channel_id: UUID, until: datetime) -> None:
    """Remember a platform's wait on the channel too, so that it holds while Redis is away (ruling 13)."""
    await conn.execute(
        update(chat_channels)
        .where(chat_channels.c.id == channel_id)
        .values(send_paused_until=func.greatest(func.coalesce(chat_channels.c.send_paused_until, until), until))
    )


async def set_status(
    conn: AsyncConnection, channel_id: UUID, status: ChannelStatus, *, error: str | None = None
) -> int | None:
    """Move a channel to a status and return its new version; None when it already was there with the same error."""
    values: dict[str, object] = {"status": status, "version": chat_channels.c.version + 1, "updated_at": func.now()}
    if status is ChannelStatus.CONNECTED:
        values |= {"connected_at": func.now(), "last_error": None}
    if status is ChannelStatus.CONNECTING:
        values["last_error"] = None
    if error is not None:
        values |= {"last_error": error[:1000], "last_error_at": func.now()}
    same = (chat_channels.c.status == status) & (chat_channels.c.last_error.is_not_distinct_from(error))
    statement = update(chat_channels).where(chat_channels.c.id == channel_id, ~same).values(**values)
    return (await conn.execute(statement.returning(chat_channels.c.version))).scalar_one_or_none()


async def channel_exists(conn: AsyncConnection, channel_id: UUID) -> bool:
    """Whether the entered account has this channel."""
    found = await conn.execute(select(chat_channels.c.id).where(chat_channels.c.id == channel_id))
    return found.one_or_none() is not None
