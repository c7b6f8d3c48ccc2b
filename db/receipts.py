"""Platforms' receipts (sent, delivered, read, failed) for what we sent: applied upwards only, parked when early.

A receipt that brings the send's own nonce back finds its part even where the send's answer was lost: that settles what
nobody could tell.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import parts
from db.channels import ChannelRow
from db.outbox import Aggregate
from domain.message import InboundEvent, PartStatus, StatusUpdate, part_may_become

_MARK: Final = text("UPDATE inbound_events SET state = :state, reason = :reason WHERE id = :id")
_PARKED: Final = text(
    """
    UPDATE inbound_events SET state = 'recorded', reason = NULL
    WHERE channel_id = :channel_id AND target_message_id = :platform_message_id AND state = 'parked' AND kind = 'status'
    RETURNING data
    """
).columns(data=JSONB)


async def apply_receipt(
    conn: AsyncConnection, channel: ChannelRow, event_row_id: UUID, event: InboundEvent, trace_id: str
) -> Aggregate | None:
    """Apply one receipt; one for a message that we do not know yet is parked and applied when the send is recorded.

    One that names the send tells of a message whose answer was lost or has not come yet: it is the answer then.
    """
    update = event.status
    if update is None:
        return None
    found = await parts.find_by_platform_id(conn, channel.id, update.platform_message_id)
    if found is None:
        found = await parts.find_by_nonce(conn, channel.id, update.nonce)
    if found is None:
        await conn.execute(_MARK, {"id": event_row_id, "state": "parked", "reason": "earlier than the send's answer"})
        return None
    version, _ = await parts.lock_session(conn, found.session_id)
    if not await _raise(conn, found.id, update):
        await conn.execute(_MARK, {"id": event_row_id, "state": "ignored", "reason": "not newer than what we know"})
        return None
    return await parts.publish_message(conn, channel.account_id, found.session_id, found.message_id, version)


async def _raise(conn: AsyncConnection, part_id: UUID, told: StatusUpdate) -> bool:
    """Apply a receipt, upwards only. The status is read under the session's lock: receipts overtake each other."""
    current, target, platform_id = await parts.status_of(conn, part_id), told.status, told.platform_message_id
    if target is PartStatus.DEAD and current in {PartStatus.SENT, PartStatus.ATTEMPTING, PartStatus.UNKNOWN}:
        error = (told.code or "platform_failed", told.reason or "refused later")
        return await parts.settle_part(conn, part_id, target, platform_message_id=platform_id, error=error)
    if not part_may_become(current, target):
        return False
    return await parts.settle_part(conn, part_id, target, platform_message_id=platform_id)


async def apply_parked(conn: AsyncConnection, channel_id: UUID, part_id: UUID, platform_message_id: str) -> None:
    """Apply receipts that came before their send was recorded. The caller holds the session's lock."""
    parked = await conn.execute(_PARKED, {"channel_id": channel_id, "platform_message_id": platform_message_id})
    for row in sorted(parked, key=lambda found: str(found.data.get("status"))):
        told = StatusUpdate(
            platform_message_id, PartStatus(row.data["status"]), row.data.get("reason"), code=row.data.get("code")
        )
        await _raise(conn, part_id, told)
