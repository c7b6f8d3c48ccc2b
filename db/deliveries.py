"""Claims on the parts of outbound messages: who may send which part, until when, and how it ended (ruling 1).

A claim is taken under the session's row lock, after the owner was checked there; its result is written only while it
is still the same claim. A worker that was stopped and wakes up late finds that its claim is not its own any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import parts, previews
from db.channels import ChannelRow
from db.outbox import Aggregate
from db.part_rows import Claims, Outgoing, PartRow
from db.receipts import apply_parked
from db.session import Database
from domain.message import PartStatus
from domain.outbound import read_payload

_LOAD: Final = text(
    """
    SELECT d.id, d.part_no, d.status, d.body, d.plain, d.payload, d.as_plain, d.nonce, d.attempts, d.claim_id, d.deadline_at,
        d.first_attempt_at, d.next_attempt_at, d.upload_ref, now() AS at, s.session_key, s.last_inbound_at, s.owner, s.owner_user_id, s.status AS session_status,
        m.turn_id, m.reply_to, m.platform_metadata ? 'closing' AS closing,
        c.id AS channel_id, c.account_id, c.platform, c.name, c.status AS channel_status, c.webhook_token,
        c.rate_limit_per_minute, c.configuration, c.credentials, c.identity, c.default_agent_id, c.send_paused_until,
        c.version AS channel_version
    FROM chat_messages m
    JOIN chat_sessions s ON s.id = m.session_id
    JOIN chat_channels c ON c.id = m.channel_id
    JOIN message_deliveries d ON d.message_id = m.id AND d.generation = m.generation
    WHERE m.id = :message_id AND m.generation = :generation
    ORDER BY d.part_no
    FOR NO KEY UPDATE OF s
    """
).columns(payload=JSONB, reply_to=JSONB, configuration=JSONB, identity=JSONB)
_CLAIM_PART: Final = """
    SELECT part_id, part_no, body, plain, payload, as_plain, nonce, attempts, first_attempt_at, is_last, at, reply_to,
        session_key, last_inbound_at,
        (channel).id, (channel).account_id, (channel).platform, (channel).name, (channel).status,
        (channel).webhook_token, (channel).rate_limit_per_minute, (channel).configuration, (channel).credentials,
        (channel).identity, (channel).default_agent_id, (channel).send_paused_until, (channel).version
    FROM flow.claim_any_part($1, $2, $3, $4, $5, $6)
"""
_BEFORE_CHANNEL: Final = 14
"""How many columns stand before the channel's."""

_SETTLE: Final = "SELECT flow.settle_part($1, $2, $3, $4, $5, $6, $7)"
_CLAIM: Final = text(
    """
    UPDATE message_deliveries SET status = 'attempting', claim_id = :claim_id, attempts = attempts + 1,
        deadline_at = now() + make_interval(secs => :claim_s), first_attempt_at = COALESCE(first_attempt_at, now()),
        next_attempt_at = NULL
    WHERE id = :id
    """
)


def _barred(row: Row[Any]) -> str | None:
    """Why an agent's message may not be sent any more (OWNER); None when it may."""
    if row.session_status == "blocked":
        return "blocked"
    if row.turn_id is None or row.owner == "ai":
        return None
    return None if row.closing and row.owner_user_id is None else "taken_over"


def _part(row: Row[Any]) -> PartRow:
    return PartRow(
        row.id,
        row.part_no,
        PartStatus(row.status),
        row.body,
        row.plain,
        row.as_plain,
        row.nonce,
        row.attempts,
        row.claim_id,
        row.deadline_at,
        row.first_attempt_at,
        row.next_attempt_at,
        read_payload(row.payload),
        row.upload_ref,
    )


async def load(conn: AsyncConnection, message_id: UUID, generation: int) -> Outgoing | None:
    """Lock the session and return the message as it stands; None when there is no such generation any more."""
    rows = (await conn.execute(_LOAD, {"message_id": message_id, "generation": generation})).all()
    if not rows:
        return None
    first = rows[0]
    channel = ChannelRow(
        first.channel_id,
        first.account_id,
        first.platform,
        first.name,
        first.channel_status,
        first.webhook_token,
        first.rate_limit_per_minute,
        first.configuration,
        first.credentials,
        first.identity,
        first.default_agent_id,
        first.send_paused_until,
        first.channel_version,
    )
    preview = None if first.turn_id is None else await previews.find(conn, first.turn_id)
    place = (first.session_key, first.last_inbound_at)
    found = tuple(_part(row) for row in rows)
    return Outgoing(found, channel, first.reply_to, first.at, _barred(first), *place, preview)


async def claim(conn: AsyncConnection, part_id: UUID, claim_id: UUID, hold_s: float) -> None:
    """Take a part for sending, under the session's lock."""
    await conn.execute(_CLAIM, {"id": part_id, "claim_id": claim_id, "claim_s": hold_s})


async def claim_plainly(
    db: Database, account_id: UUID, message: tuple[UUID, int], claim_id: UUID, claims: Claims
) -> tuple[Outgoing, bool] | None:
    """Claim the next part of (message, generation) in one round trip, in the plain case: nothing waits or failed.

    Returns the message with that part alone, and whether it is the last one; None in every other case, which `load`,
    a decision and `claim` settle. Idempotent by `claim_id`. Raises UnavailableError.
    """
    row = await db.call(_CLAIM_PART, account_id, *message, claim_id, claims.hold_s, claims.file_hold_s)
    if row is None:
        return None
    part = PartRow(
        row["part_id"],
        row["part_no"],
        PartStatus.QUEUED,
        row["body"],
        row["plain"],
        row["as_plain"],
        row["nonce"],
        row["attempts"],
        claim_id,
        None,
        row["first_attempt_at"],
        None,
        read_payload(row["payload"]),
    )
    channel = ChannelRow(*tuple(row)[_BEFORE_CHANNEL:])
    place = (row["session_key"], row["last_inbound_at"])
    return Outgoing((part,), channel, row["reply_to"], row["at"], None, *place), row["is_last"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `error`: (code, message)."""

    part_id: UUID
    status: PartStatus
    claim_id: UUID
    platform_message_id: str | None = None
    error: tuple[str, str] | None = None


async def settle_plainly(db: Database, account_id: UUID, outcome: Outcome) -> bool:
    """Write how a part ended in one round trip; False where the claim is lost or an early receipt waits: see `settle`.

    Idempotent by claim. Raises UnavailableError.
    """
    code, reason = outcome.error or (None, None)
    arguments = (outcome.part_id, outcome.claim_id, outcome.status.value, outcome.platform_message_id, code, reason)
    row = await db.call(_SETTLE, account_id, *arguments)
    return bool(row and row[0])


async def settle(
    conn: AsyncConnection,
    channel: ChannelRow,
    session_id: UUID,
    message_id: UUID,
    outcome: Outcome,
    *,
    has_receipts: bool,
) -> Aggregate | None:
    """Write how a part ended and tell the readers; None when the claim was not ours any more."""
    version, _ = await parts.lock_session(conn, session_id)
    written = await parts.settle_part(
        conn,
        outcome.part_id,
        outcome.status,
        claim_id=outcome.claim_id,
        platform_message_id=outcome.platform_message_id,
        error=outcome.error,
    )
    if not written:
        return None
    if has_receipts and outcome.platform_message_id is not None:
        await apply_parked(conn, channel.id, outcome.part_id, outcome.platform_message_id)
    return await parts.publish_message(conn, channel.account_id, session_id, message_id, version)


async def publish(conn: AsyncConnection, account_id: UUID, session_id: UUID, message_id: UUID) -> Aggregate:
    """Tell the readers how a message stands."""
    version, _ = await parts.lock_session(conn, session_id)
    return await parts.publish_message(conn, account_id, session_id, message_id, version)
