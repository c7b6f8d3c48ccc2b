"""The parts of an outbound message: one place that settles them and derives the message's status from them.

Every writer first locks the session row (`lock_session`), which also orders what leaves by the outbox.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.outbox import Aggregate
from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, mapping, message_view
from domain.events.chat import ChatMessageStatus
from domain.message import PartStatus
from domain.views import MessageView

_LOCK_SESSION: Final = text(
    "UPDATE chat_sessions SET version = version + 1 WHERE id = :id RETURNING version, now() AS at"
)
_SETTLE_MESSAGE: Final = text(f"SELECT {MESSAGE_COLUMNS} FROM flow.settle_message(:message_id) m").columns(  # noqa: S608
    **MESSAGE_TYPES
)
_PUBLISH: Final = text("SELECT flow.publish_message(app_account(), :message_id, :version)")
_VIEW: Final = text(f"SELECT {MESSAGE_COLUMNS} FROM chat_messages m WHERE m.id = :message_id").columns(  # noqa: S608
    **MESSAGE_TYPES
)
# A receipt takes no note away, and one that is earlier than the send's answer makes the note that the answer would have made.
_SETTLE_PART: Final = text(
    """
    UPDATE message_deliveries SET status = :status, platform_message_id = COALESCE(:platform_id, platform_message_id),
        error_code = COALESCE(CAST(:error_code AS text), CASE WHEN CAST(payload ->> 'instead' AS boolean) THEN 'window_template'
            WHEN error_code = 'placeholder_left' THEN error_code END),
        error_message = COALESCE(CAST(:error_message AS text), CASE
            WHEN CAST(payload ->> 'instead' AS boolean)
                THEN 'Sent as the template ' || (payload ->> 'name') || ', because the reply window was closed'
            WHEN error_code = 'placeholder_left' THEN error_message END),
        settled_at = now(), claim_id = NULL
    WHERE id = :id AND (CAST(:claim_id AS uuid) IS NULL OR claim_id = :claim_id)
    RETURNING id
    """
)
_FIND_RECEIPT: Final = text(
    """
    SELECT d.id, d.message_id, d.session_id FROM message_deliveries d
    WHERE d.channel_id = :channel_id AND d.platform_message_id = :platform_message_id
    ORDER BY d.created_at DESC LIMIT 1
    """
)
# A nonce begins with its message's id without dashes, cut at 20: that finds the message by its key, where nonces have no index.
_FIND_NONCE: Final = text(
    """
    SELECT d.id, d.message_id, d.session_id FROM message_deliveries d
    WHERE d.message_id BETWEEN CAST(rpad(left(:nonce, 20), 32, '0') AS uuid) AND CAST(rpad(left(:nonce, 20), 32, 'f') AS uuid)
      AND d.channel_id = :channel_id AND d.nonce = :nonce AND d.platform_message_id IS NULL
    """
)
_NONCE: Final = re.compile(r"[0-9a-f]{20}-\d{1,6}(g\d{1,6})?", re.ASCII)
_STATUS: Final = text("SELECT status FROM message_deliveries WHERE id = :id")


async def lock_session(conn: AsyncConnection, session_id: UUID) -> tuple[int, datetime]:
    """Lock the session's row, take its next version, and return it with the transaction's time."""
    row = (await conn.execute(_LOCK_SESSION, {"id": session_id})).one()
    return row.version, row.at


async def message_with_parts(conn: AsyncConnection, message_id: UUID) -> MessageView:
    """Return a message's view as it stands in this transaction."""
    return message_view(mapping((await conn.execute(_VIEW, {"message_id": message_id})).one()))


async def settle_part(
    conn: AsyncConnection,
    part_id: UUID,
    status: PartStatus,
    *,
    claim_id: UUID | None = None,
    platform_message_id: str | None = None,
    error: tuple[str, str] | None = None,
) -> bool:
    """Write how a part ended. With `claim_id`, only while the claim is still ours (fencing); False when it is not."""
    code, message = error or (None, None)
    settled = await conn.execute(
        _SETTLE_PART,
        {
            "id": part_id,
            "status": status.value,
            "platform_id": platform_message_id,
            "error_code": code,
            "error_message": message,
            "claim_id": claim_id,
        },
    )
    return settled.one_or_none() is not None


def status_event(view: MessageView, at: datetime) -> dict[str, object]:
    """Shape the outbox row that tells readers how a message stands."""
    event = ChatMessageStatus(
        timestamp=at,
        session_id=view.session_id,
        message_id=view.id,
        delivery_status=view.delivery_status,
        message=view,
    )
    return outbox.event_row(event)


async def settle_message(conn: AsyncConnection, message_id: UUID) -> MessageView:
    """Derive a message's status from its parts, bump its version, and return its view."""
    return message_view(mapping((await conn.execute(_SETTLE_MESSAGE, {"message_id": message_id})).one()))


async def publish_message(
    conn: AsyncConnection, account_id: UUID, session_id: UUID, message_id: UUID, version: int
) -> Aggregate:
    """Settle a message and leave its new view in the outbox, under a lock taken at `version`. Returns the aggregate."""
    await conn.execute(_PUBLISH, {"message_id": message_id, "version": version})
    return outbox.session_aggregate(account_id, session_id)


async def find_by_platform_id(conn: AsyncConnection, channel_id: UUID, platform_message_id: str) -> Row[Any] | None:
    """Find the part that a platform's receipt speaks of, within one channel of the entered account."""
    found = await conn.execute(_FIND_RECEIPT, {"channel_id": channel_id, "platform_message_id": platform_message_id})
    return found.one_or_none()


async def find_by_nonce(conn: AsyncConnection, channel_id: UUID, nonce: str | None) -> Row[Any] | None:
    """Find the part whose send's answer was lost, by the nonce that its receipt gives back."""
    if nonce is None or not _NONCE.fullmatch(nonce):
        return None
    return (await conn.execute(_FIND_NONCE, {"channel_id": channel_id, "nonce": nonce})).one_or_none()


async def status_of(conn: AsyncConnection, part_id: UUID) -> PartStatus:
    """Return a part's status; under its session's lock it is the last word."""
    return PartStatus((await conn.execute(_STATUS, {"id": part_id})).scalar_one())
