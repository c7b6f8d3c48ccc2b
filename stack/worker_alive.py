"""Whether a worker on this host gives its sign of life: the health check of the worker's container.

Exits 0 or 1; says nothing. Any worker of this host counts: in a container there is one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from config import Settings
from db import heartbeats
from db.session import Database
from domain.errors import PowernodeError


async def alive(database_url: str, host: str) -> bool:
    """Whether the database has a fresh heartbeat of a worker on this host."""
    database = Database(database_url, pool_size=1)
    try:
        async with database.open() as conn:
            return any(worker.startswith(f"{host}:") for worker in await heartbeats.live_queues(conn))
    except PowernodeError:
        return False
    finally:
        await database.close()


if __name__ == "__main__":
    found = asyncio.run(alive(Settings.load().database_url.get_secret_value(), socket.gethostname()))
    sys.stdout.flush()
    os._exit(0 if found else 1)
