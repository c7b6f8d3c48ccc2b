"""How the system stands: for health checks (across accounts, counts only), and what waits in one account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from db import functions, heartbeats, outbox
from db.rows import mapping
from db.session import Database

HEAD: Final = "0016"
"""The revision that this code needs; a test holds it equal to the newest migration."""

_STANDING: Final = text(
    """
    SELECT (SELECT count(*) FROM outbox) AS outbox_waiting,
        COALESCE(EXTRACT(EPOCH FROM now() - (SELECT min(created_at) FROM outbox)), 0)::double precision AS outbox_age_s,
        (SELECT count(*) FROM chat_messages WHERE deferred_until IS NOT NULL) AS deferred,
        parts.dead, parts.unknown,
        (SELECT count(*) FROM (
            SELECT w.id FROM webhook_deliveries w WHERE w.outcome = 'quarantined'
            UNION SELECT e.delivery_id FROM inbound_events e WHERE e.state = 'quarantined') q) AS quarantined
    FROM (
        SELECT count(*) FILTER (WHERE d.status = 'dead') AS dead, count(*) FILTER (WHERE d.status = 'unknown') AS unknown
        FROM message_deliveries d JOIN chat_messages m ON m.id = d.message_id AND m.generation = d.generation
        WHERE d.status IN ('dead', 'unknown')
    ) parts
    """
)
_REVISION: Final = text("SELECT version_num, flow.version() AS functions FROM alembic_version")


@dataclass(frozen=True, slots=True)
class Status:
    """Workers by id with their queues, and what waits in the outbox."""

    workers: dict[str, list[str]]
    outbox_waiting: int
    outbox_age_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What waits in one account, and what needs a person."""

    outbox_waiting: int
    outbox_age_s: float
    deferred: int
    dead: int
    unknown: int
    quarantined: int


async def schema_is_current(conn: AsyncConnection) -> bool:
    """Whether the database has the schema that this code was written for."""
    try:
        found = (await conn.execute(_REVISION)).one_or_none()
    except ProgrammingError:
        return False
    return found is not None and (found.version_num, found.functions) == (HEAD, functions.fingerprint())


async def read(db: Database) -> Status:
    """Return how things stand. Raises UnavailableError."""
    async with db.open() as conn:
        waiting, age_s = await outbox.backlog(conn)
        return Status(await heartbeats.live_queues(conn), waiting, age_s)


async def standing(conn: AsyncConnection) -> Standing:
    """Return what waits in the entered account."""
    row = (await conn.execute(_STANDING)).one()
    return Standing(**mapping(row))
