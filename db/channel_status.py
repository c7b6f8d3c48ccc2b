"""A channel's status changes, and who watches it is told in the same transaction."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.channels import set_status
from db.outbox import Aggregate
from db.rows import mapping
from domain.channel import ChannelStatus
from domain.errors import NotFoundError
from domain.events.chat import ChannelStatusChange
from domain.views import ChannelSummaryView

CHANNEL_SUMMARY_COLUMNS: Final = """
    c.id, c.platform, c.name, c.status, c.connected_at, c.version,
    (SELECT name FROM ai_agents a WHERE a.id = c.default_agent_id) AS default_agent,
    (SELECT count(*) FROM chat_sessions s WHERE s.channel_id = c.id) AS session_count,
    (SELECT COALESCE(sum(s.message_count), 0) FROM chat_sessions s WHERE s.channel_id = c.id) AS message_count,
    (SELECT max(s.last_activity_at) FROM chat_sessions s WHERE s.channel_id = c.id) AS last_message_at
"""
"""Selects a ChannelSummaryView from `chat_channels c`; counts are derived, so that they cannot drift."""

_SUMMARY: Final = text(
    f"SELECT {CHANNEL_SUMMARY_COLUMNS}, now() AS at FROM chat_channels c WHERE c.id = :id"  # noqa: S608
)
_BUMP: Final = text("UPDATE chat_channels SET version = version + 1 WHERE id = :id RETURNING version")


def _view(row: RowMapping) -> ChannelSummaryView:
    return ChannelSummaryView.model_validate({name: row[name] for name in ChannelSummaryView.model_fields})


async def find(conn: AsyncConnection, channel_id: UUID) -> ChannelSummaryView | None:
    """Return a channel's summary; None when the entered account has no such one."""
    row = (await conn.execute(_SUMMARY, {"id": channel_id})).one_or_none()
    return None if row is None else _view(mapping(row))


async def change(
    conn: AsyncConnection, account_id: UUID, channel_id: UUID, status: ChannelStatus, *, error: str | None = None
) -> Aggregate | None:
    """Move a channel to a status and leave the event in the outbox; None when nothing changed."""
    version = await set_status(conn, channel_id, status, error=error)
    return None if version is None else await _tell(conn, account_id, channel_id, version)


async def announce(conn: AsyncConnection, account_id: UUID, channel_id: UUID) -> Aggregate:
    """Leave the event of a channel whose name, agent or settings the caller has just changed. Raises NotFoundError."""
    version = (await conn.execute(_BUMP, {"id": channel_id})).scalar_one_or_none()
    if version is None:
        raise NotFoundError("No such channel")
    return await _tell(conn, account_id, channel_id, version)


async def _tell(conn: AsyncConnection, account_id: UUID, channel_id: UUID, version: int) -> Aggregate:
    row = mapping((await conn.execute(_SUMMARY, {"id": channel_id})).one())
    view = _view(row)
    event = ChannelStatusChange(timestamp=row["at"], channel_id=channel_id, status=view.status, channel=view)
    aggregate = outbox.channel_aggregate(account_id, channel_id)
    await outbox.write(conn, aggregate, version, [outbox.event_row(event)], "")
    return aggregate
