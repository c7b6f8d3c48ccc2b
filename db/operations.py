"""How the system stands: for health checks and `powernode status`. Looks across accounts, and returns counts only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from db import heartbeats, outbox
from db.session import Database

HEAD: Final = "0002"
"""The revision that this code needs; a test holds it equal to the newest migration."""

_REVISION: Final = text("SELECT version_num FROM alembic_version")


@dataclass(frozen=True, slots=True)
class Status:
    """Workers by id with their queues, and what waits in the outbox."""

    workers: dict[str, list[str]]
    outbox_waiting: int
    outbox_age_s: float


async def schema_is_current(conn: AsyncConnection) -> bool:
    """Whether the database has the schema that this code was written for."""
    try:
        return (await conn.execute(_REVISION)).scalar_one_or_none() == HEAD
    except ProgrammingError:
        return False


async def read(db: Database) -> Status:
    """Return how things stand. Raises UnavailableError."""
    async with db.open() as conn:
        waiting, age_s = await outbox.backlog(conn)
        return Status(await heartbeats.live_queues(conn), waiting, age_s)
