"""The health check of a worker's container."""

from __future__ import annotations

from datetime import UTC, datetime

from db import heartbeats
from db.session import Database
from stack.worker_alive import alive
from tests.conftest import DatabaseUrls


class TestAlive:
    async def test_only_a_worker_of_this_host_counts(self, database: Database, database_urls: DatabaseUrls) -> None:
        assert not await alive(database_urls.app, "here")
        async with database.open() as conn:
            await heartbeats.beat(conn, "there:1", ["chat"], datetime.now(UTC))
        assert not await alive(database_urls.app, "here")
        async with database.open() as conn:
            await heartbeats.beat(conn, "here:7", ["chat"], datetime.now(UTC))
        assert await alive(database_urls.app, "here")

    async def test_no_database_is_no_sign_of_life(self) -> None:
        assert not await alive("postgresql://a:b@127.0.0.1:9/c", "here")
