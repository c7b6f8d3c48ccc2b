"""One round trip to Postgres: a function of the `flow` schema called through the driver, without a transaction around.

For the hot path only. The functions enter their account themselves and are idempotent, which is why a call whose
connection turned out to be lost is made once more. Everything else goes through db/session.Database's transactions.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

SERVER_SETTINGS: Final = {
    "application_name": "powernode",
    "jit": "off",
    # Every statement here is written once and finds its rows by an index. Planned once per connection, often while
    # the tables are still empty, it must not settle for reading whole tables.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # A process that stands still in a transaction keeps its locks; nobody waits for it longer than this.
    "idle_in_transaction_session_timeout": "10s",
}
# The last one: the server ended the connection while it was idle, and the driver has read that but not yet acted on it.
_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    ConnectionError,
    asyncpg.InternalClientError,
)

Connection = PoolConnectionProxy
Record = asyncpg.Record


def dumps(value: object) -> str:
    """Return JSON text, as the driver wants it for a jsonb argument."""
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: object) -> str:
    if isinstance(value, UUID):
        # The driver's own subclass, which the encoder does not know.
        return str(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


class _Plain(asyncpg.Connection):
    """Nothing of a call outlives it (settings are local, locks are given back), so nothing is reset between two."""

    def get_reset_query(self) -> str:
        return ""


async def _init(connection: Any) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=dumps, decoder=json.loads)


class Calls:
    """A pool of driver connections, opened with the first call. One per process, owned by its Database."""

    def __init__(self, url: str, *, size: int) -> None:
        self._url = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._size = size
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._returning: set[asyncio.Task[None]] = set()

    async def call(self, statement: str, *arguments: object) -> Record | None:
        """Run one statement and return its first row, None when it has none."""
        try:
            return await self._fetch(statement, *arguments)
        except _LOST:
            return await self._fetch(statement, *arguments)

    async def _fetch(self, statement: str, *arguments: object) -> Record | None:
        pool = self._pool or await self._open()
        conn = await pool.acquire(timeout=5)
        try:
            return await conn.fetchrow(statement, *arguments)
        except asyncpg.InternalClientError:
            conn.terminate()
            raise
        finally:
            # Beside the caller's way, for the pool takes a turn of the event loop for it.
            returning = asyncio.create_task(pool.release(conn))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Hold one connection, for calls that must share it. Raises the driver's errors and TimeoutError."""
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=5) as conn:
            try:
                yield conn
            except asyncpg.InternalClientError:
                conn.terminate()
                raise

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._size,
                    max_inactive_connection_lifetime=0,
                    max_queries=1_000_000,
                    connection_class=_Plain,
                    init=_init,
                    timeout=5,
                    command_timeout=15,
                    server_settings=SERVER_SETTINGS,
                )
            return self._pool

    async def close(self) -> None:
        """Close all connections, those in use after 2 s."""
        await asyncio.gather(*self._returning, return_exceptions=True)
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 2)
            except TimeoutError:
                self._pool.terminate()
