"""The shared fixtures give what their descriptions say, in one process and in several."""

from __future__ import annotations

import asyncpg
from redis.asyncio import Redis
from temporalio.client import Client

from db.session import Database
from realtime.client import ask
from tests.conftest import DatabaseUrls


class TestDatabaseUrls:
    async def test_app_role_owns_nothing_and_cannot_create(self, database_urls: DatabaseUrls) -> None:
        connection = await asyncpg.connect(database_urls.app)
        try:
            assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE tableowner = current_user") == 0
            assert await connection.fetchval("SELECT has_schema_privilege('public', 'CREATE')") is False
            assert (
                await connection.fetchval("SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user")
                is False
            )
        finally:
            await connection.close()


class TestDatabase:
    async def test_database_is_migrated(self, database: Database) -> None:
        async with database.open() as conn:
            assert (await conn.exec_driver_sql("SELECT count(*) FROM chat_messages")).scalar_one() == 0


class TestRedis:
    async def test_empty_and_writable(self, redis: Redis) -> None:
        assert await ask(redis, "DBSIZE") == 0
        await ask(redis, "SET", "k", "v")

    async def test_empty_again(self, redis: Redis) -> None:
        assert await ask(redis, "DBSIZE") == 0


class TestTemporalClient:
    async def test_search_attributes_are_registered(self, temporal_client: Client) -> None:
        assert [found async for found in temporal_client.list_workflows("Platform = 'none'")] == []
