"""Channels as readers see them, and what administrators change of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.channel_status import CHANNEL_SUMMARY_COLUMNS
from db.channels import token_hash
from db.credentials import CredentialBox, CredentialKeyError
from db.paging import fetch_page
from db.rows import mapping, preview
from domain.errors import ConflictError, InvalidInputError, NotFoundError
from domain.views import ChannelSummaryView, ChannelView, QuarantinedView

_DETAILS: Final = f"""
    {CHANNEL_SUMMARY_COLUMNS}, c.configuration, c.rate_limit_per_minute, c.default_agent_id, c.last_error,
    c.last_error_at, c.created_at, c.updated_at, c.webhook_token, c.credentials,
    (SELECT jsonb_build_object('state', x.state, 'last_error', x.last_error, 'last_error_at', x.last_error_at,
        'connected_at', x.connected_at, 'heard_at', x.heard_at)
     FROM channel_connections x WHERE x.channel_id = c.id) AS connection
"""  # noqa: S608 - constant columns
_ONE: Final = text(f"SELECT {_DETAILS} FROM chat_channels c WHERE c.id = :id").columns(  # noqa: S608
    configuration=JSONB, connection=JSONB
)
_LIST: Final = text(
    f"""
    SELECT {CHANNEL_SUMMARY_COLUMNS}, count(*) OVER () AS total FROM chat_channels c
    WHERE (CAST(:platform AS text) IS NULL OR c.platform = :platform)
      AND (CAST(:status AS text) IS NULL OR c.status = :status)
      AND (NOT :active OR c.status IN ('connected', 'connecting'))
    ORDER BY c.created_at DESC, c.id LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
)
_INSERT: Final = text(
    """
    INSERT INTO chat_channels (id, account_id, platform, name, webhook_token, webhook_token_hash,
        rate_limit_per_minute, configuration, credentials, default_agent_id)
    VALUES (:id, app_account(), :platform, :name, :token, :token_hash, :rate_limit_per_minute,
        CAST(:configuration AS jsonb), :credentials, :default_agent_id)
    """
)
_UPDATE: Final = text(
    """
    UPDATE chat_channels SET name = COALESCE(:name, name),
        rate_limit_per_minute = COALESCE(:rate_limit_per_minute, rate_limit_per_minute),
        configuration = COALESCE(CAST(:configuration AS jsonb), configuration),
        credentials = COALESCE(:credentials, credentials),
        default_agent_id = CASE WHEN :sets_agent THEN CAST(:default_agent_id AS uuid) ELSE default_agent_id END,
        updated_at = now()
    WHERE id = :id RETURNING id
    """
)
_TOKEN: Final = text(
    "UPDATE chat_channels SET webhook_token = :token, webhook_token_hash = :token_hash, updated_at = now()"
    " WHERE id = :id RETURNING id"
)
_DELETE: Final = text(
    "DELETE FROM chat_channels c WHERE c.id = :id"
    " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries w WHERE w.channel_id = c.id) RETURNING id"
)
_IDENTITY: Final = text("UPDATE chat_channels SET identity = CAST(:identity AS jsonb) WHERE id = :id")
# A webhook is here as a whole, or for the one item in it that was not understood while its neighbours were.
_QUARANTINED: Final = text(
    """
    WITH aside AS (
        SELECT w.id FROM webhook_deliveries w WHERE w.outcome = 'quarantined'
        UNION SELECT e.delivery_id FROM inbound_events e WHERE e.state = 'quarantined'
    )
    SELECT w.id, w.channel_id, w.trace_id, w.received_at, length(w.body) AS size_bytes,
        COALESCE(w.reason, (SELECT min(e.reason) FROM inbound_events e
            WHERE e.delivery_id = w.id AND e.state = 'quarantined'), '') AS reason,
        substring(w.body from 1 for 800) AS head, count(*) OVER () AS total
    FROM webhook_deliveries w JOIN aside ON aside.id = w.id
    WHERE CAST(:channel_id AS uuid) IS NULL OR w.channel_id = :channel_id
    ORDER BY w.received_at DESC, w.id LIMIT :limit OFFSET :offset
    """
)


def _view(row: RowMapping, box: CredentialBox, base_url: str) -> ChannelView:
    values: dict[str, Any] = {name: row[name] for name in ChannelSummaryView.model_fields}
    names = ("configuration", "rate_limit_per_minute", "default_agent_id", "last_error", "last_error_at")
    values |= {name: row[name] for name in (*names, "connection", "created_at", "updated_at")}
    values["credentials_set"] = sorted(opened(box, row["id"], row["credentials"]) or ())
    values["webhook_url"] = f"{base_url}/api/v1/chat/webhooks/{row['webhook_token']}"
    return ChannelView.model_validate(values)


def opened(box: CredentialBox, channel_id: UUID, sealed: bytes | None) -> dict[str, str] | None:
    """Return a channel's credentials; None when they were sealed with a key that is gone: they must be given anew."""
    try:
        return box.open(channel_id, sealed)
    except CredentialKeyError:
        return None


async def get(conn: AsyncConnection, channel_id: UUID, box: CredentialBox, base_url: str) -> ChannelView:
    """Return a channel in full. Raises NotFoundError."""
    row = (await conn.execute(_ONE, {"id": channel_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such channel")
    return _view(mapping(row), box, base_url)


async def listing(
    conn: AsyncConnection, *, platform: str | None, status: str | None, active: bool, limit: int, offset: int
) -> tuple[list[ChannelSummaryView], int]:
    """Return a page of channels, newest first, and how many there are in all."""
    values = {"platform": platform, "status": status, "active": active}
    rows, total = await fetch_page(conn, _LIST, values, limit=limit, offset=offset)
    views = [
        ChannelSummaryView.model_validate({name: mapping(row)[name] for name in ChannelSummaryView.model_fields})
        for row in rows
    ]
    return views, total


async def create(
    conn: AsyncConnection,
    *,
    platform: str,
    name: str,
    credentials: Mapping[str, str],
    configuration: Mapping[str, object],
    rate_limit_per_minute: int,
    default_agent_id: UUID | None,
    box: CredentialBox,
) -> UUID:
    """Create a channel. Raises InvalidInputError for a name that is taken or an agent that is not the account's."""
    channel_id, token = uuid4(), secrets.token_urlsafe(32)
    try:
        await conn.execute(
            _INSERT,
            {
                "id": channel_id,
                "platform": platform,
                "name": name,
                "token": token,
                "token_hash": token_hash(token),
                "rate_limit_per_minute": rate_limit_per_minute,
                "configuration": orjson.dumps(dict(configuration)).decode(),
                "credentials": box.seal(channel_id, credentials),
                "default_agent_id": default_agent_id,
            },
        )
    except IntegrityError as error:
        raise refused(error) from error
    return channel_id


def refused(error: IntegrityError) -> InvalidInputError:
    """Say what a constraint of `chat_channels` refused."""
    name = str(getattr(error.orig.__cause__, "constraint_name", "")) if error.orig else ""
    if name.startswith("uq_"):
        return InvalidInputError("A channel of this platform has that name already")
    if name.startswith("fk_") and "agent" in name:
        return InvalidInputError("No such agent in this account")
    return InvalidInputError(f"The channel does not fit: {name}")


async def update(
    conn: AsyncConnection,
    channel_id: UUID,
    *,
    name: str | None,
    rate_limit_per_minute: int | None,
    configuration: Mapping[str, object] | None,
    credentials: Mapping[str, str] | None,
    agent: tuple[UUID | None] | None,
    box: CredentialBox,
) -> None:
    """Change what is given; `agent` holds the new one, or None to have none. Raises NotFoundError, InvalidInputError.

    The caller announces it (`channel_status.announce`), which also takes the channel's next version.
    """
    values = {
        "id": channel_id,
        "name": name,
        "rate_limit_per_minute": rate_limit_per_minute,
        "configuration": None if configuration is None else orjson.dumps(dict(configuration)).decode(),
        "credentials": None if credentials is None else box.seal(channel_id, credentials),
        "sets_agent": agent is not None,
        "default_agent_id": agent[0] if agent else None,
    }
    try:
        found = (await conn.execute(_UPDATE, values)).one_or_none()
    except IntegrityError as error:
        raise refused(error) from error
    if found is None:
        raise NotFoundError("No such channel")


async def regenerate_token(conn: AsyncConnection, channel_id: UUID) -> None:
    """Give a channel a new webhook address; the old one is unknown at once. Raises NotFoundError.

    The caller announces it (`channel_status.announce`), which also takes the channel's next version.
    """
    token = secrets.token_urlsafe(32)
    values = {"id": channel_id, "token": token, "token_hash": token_hash(token)}
    if (await conn.execute(_TOKEN, values)).one_or_none() is None:
        raise NotFoundError("No such channel")


async def delete(conn: AsyncConnection, channel_id: UUID) -> None:
    """Delete a channel that never received anything. Raises ConflictError when it has a history to keep."""
    if (await conn.execute(_DELETE, {"id": channel_id})).one_or_none() is None:
        raise ConflictError("The channel has received messages; disconnect it instead")


async def save_identity(conn: AsyncConnection, channel_id: UUID, identity: Mapping[str, str]) -> None:
    """Keep what a test of the channel learned of our own bot, by which its echoes are known."""
    await conn.execute(_IDENTITY, {"id": channel_id, "identity": orjson.dumps(dict(identity)).decode()})


async def quarantined(
    conn: AsyncConnection, channel_id: UUID | None, *, limit: int, offset: int
) -> tuple[list[QuarantinedView], int]:
    """Return a page of webhooks that were set aside, newest first, and how many there are."""
    rows, total = await fetch_page(conn, _QUARANTINED, {"channel_id": channel_id}, limit=limit, offset=offset)
    views = [
        QuarantinedView(
            id=row.id,
            channel_id=row.channel_id,
            reason=row.reason,
            trace_id=row.trace_id,
            received_at=row.received_at,
            size_bytes=row.size_bytes,
            body_preview=preview(row.head),
        )
        for row in rows
    ]
    return views, total
