"""The workers' signs of life: a row each, touched every five seconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

FRESH: Final = timedelta(seconds=15)
FORGET_AFTER: Final = timedelta(hours=1)

_BEAT: Final = text(
    """
    INSERT INTO worker_heartbeats (worker_id, queues, started_at, seen_at) VALUES (:worker_id, :queues, :at, now())
    ON CONFLICT (worker_id) DO UPDATE SET seen_at = now(), queues = excluded.queues
    """
)
_FORGET: Final = text(
    "DELETE FROM worker_heartbeats WHERE worker_id = :worker_id OR seen_at < now() - CAST(:older_than AS interval)"
)
_LIVE: Final = text(
    "SELECT worker_id, queues, started_at, seen_at FROM worker_heartbeats WHERE seen_at > now() - CAST(:fresh AS interval) ORDER BY 1"
)


async def beat(conn: AsyncConnection, worker_id: str, queues: list[str], at: datetime) -> None:
    """Touch a worker's row. `at`: when the row is made, the worker's start."""
    await conn.execute(_BEAT, {"worker_id": worker_id, "queues": queues, "at": at})


async def remove(conn: AsyncConnection, worker_id: str) -> None:
    """Take away a worker's row, and those of workers gone for an hour."""
    await conn.execute(_FORGET, {"worker_id": worker_id, "older_than": FORGET_AFTER})


async def live_queues(conn: AsyncConnection) -> dict[str, list[str]]:
    """Return the workers seen within 15 s. Shape: worker id -> the task queues that it serves."""
    return {row.worker_id: list(row.queues) for row in await conn.execute(_LIVE, {"fresh": FRESH})}
