"""What operators send: their own answers, and what did not arrive, once more.

The session's workflow learns of both by the outbox and delivers them in their order.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox, parts
from db.outbound import existing, owner_of, record, signal_for
from db.outbox import Aggregate
from db.outgoing import Outgoing
from domain.errors import ConflictError, NotFoundError
from domain.views import MessageView

_NEXT_GENERATION: Final = text(
    """
    WITH old AS (
        SELECT d.* FROM message_deliveries d JOIN chat_messages m ON m.id = d.message_id AND m.generation = d.generation
        WHERE m.id = :message_id AND m.session_id = :session_id AND m.direction = 'outbound'
    ), m AS (
        UPDATE chat_messages SET generation = generation + 1, version = version + 1
        WHERE id = :message_id AND EXISTS (SELECT 1 FROM old WHERE status IN ('dead', 'unknown'))
        RETURNING id, generation, channel_id
    ), p AS (
        INSERT INTO message_deliveries (id, account_id, message_id, session_id, channel_id, generation, part_no, body,
            plain, payload, as_plain, nonce, status, platform_message_id, attempts, settled_at)
        SELECT gen_random_uuid(), o.account_id, o.message_id, o.session_id, o.channel_id, m.generation, o.part_no,
            o.body, o.plain, CASE WHEN (o.payload ->> 'instead')::boolean THEN NULL ELSE o.payload END, o.as_plain, split_part(o.nonce, 'g', 1) || 'g' || m.generation,
            CASE WHEN o.status IN ('dead', 'unknown') THEN 'queued' ELSE o.status END,
            o.platform_message_id, CASE WHEN o.status IN ('dead', 'unknown') THEN 0 ELSE o.attempts END, o.settled_at
        FROM old o CROSS JOIN m
    )
    SELECT m.channel_id, c.platform FROM m JOIN chat_channels c ON c.id = m.channel_id
    """
)


async def record_operator_message(
    conn: AsyncConnection, account_id: UUID, out: Outgoing
) -> tuple[MessageView, Aggregate | None]:
    """Store what an operator answers; it is delivered in its order by the session's workflow.

    Idempotent by `client_id`: a repeat returns the first message and no aggregate. Raises NotFoundError,
    ConflictError for a blocked session.
    """
    owner = await owner_of(conn, out.session_id)
    if owner is None:
        raise NotFoundError("No such session")
    if owner[1] == "blocked":
        raise ConflictError("The session is blocked")
    if out.client_id is not None:
        stored = await existing(conn, out)
        if stored is not None:
            return stored, None
    return await record(conn, account_id, out)


async def retry_message(conn: AsyncConnection, account_id: UUID, session_id: UUID, message_id: UUID) -> Aggregate:
    """Send again what did not arrive: its dead and unknown parts, as the next generation (ruling 3).

    Raises NotFoundError, ConflictError when there is nothing to be sent again.
    """
    if await owner_of(conn, session_id) is None:
        raise NotFoundError("No such session")
    row = (await conn.execute(_NEXT_GENERATION, {"message_id": message_id, "session_id": session_id})).one_or_none()
    if row is None:
        raise ConflictError("Nothing of this message is dead or unknown")
    version, at = await parts.lock_session(conn, session_id)
    view = await parts.settle_message(conn, message_id)
    signal = signal_for(view, row.channel_id, row.platform)
    aggregate = outbox.session_aggregate(account_id, session_id)
    await outbox.write(conn, aggregate, version, [parts.status_event(view, at), signal], view.trace_id)
    return aggregate
