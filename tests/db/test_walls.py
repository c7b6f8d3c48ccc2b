"""The second wall: whatever the code above does, Postgres shows an account only its own rows (TENANT)."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from db.migrate import alembic_config, downgrade, upgrade
from db.operations import HEAD
from db.session import Database, async_url
from db.tables import metadata
from domain.message import PartStatus, message_status
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record
from tests.tenants import inbound, make_tenant

TENANT_TABLES = [table.name for table in metadata.sorted_tables if "account_id" in table.c]


class TestRowLevelSecurity:
    @pytest.mark.parametrize("table", TENANT_TABLES)
    async def test_no_account_no_rows_and_foreign_account_no_rows(
        self, database: Database, database_urls: DatabaseUrls, table: str
    ) -> None:
        own = await make_tenant(database_urls.owner)
        foreign = await make_tenant(database_urls.owner)
        await record(database, own, [inbound(1)])
        count = text(f"SELECT count(*) FROM {table} WHERE account_id = '{own.account_id}'")
        async with database.open() as conn:
            assert (await conn.execute(count)).scalar_one() == 0
        async with database.account(foreign.account_id) as conn:
            assert (await conn.execute(count)).scalar_one() == 0

    async def test_a_row_cannot_be_written_into_another_account(
        self, database: Database, database_urls: DatabaseUrls
    ) -> None:
        own, foreign = await make_tenant(database_urls.owner), await make_tenant(database_urls.owner)
        insert = text(
            "INSERT INTO chat_blacklists (id, account_id, platform_user_id, block_type)"
            f" VALUES (gen_random_uuid(), '{foreign.account_id}', 'x', 'permanent')"
        )
        with pytest.raises(DBAPIError, match="row-level security"):
            async with database.account(own.account_id) as conn:
                await conn.execute(insert)

    async def test_a_row_cannot_point_into_another_account(self, database_urls: DatabaseUrls) -> None:
        own, foreign = await make_tenant(database_urls.owner), await make_tenant(database_urls.owner)
        owner = Database(database_urls.owner)
        with pytest.raises(DBAPIError, match="foreign key"):
            async with owner.open() as conn:
                await conn.execute(
                    text(
                        f"UPDATE chat_channels SET default_agent_id = '{foreign.agent_id}' WHERE id = '{own.channel_id}'"
                    )
                )
        await owner.close()

    async def test_a_pooled_connection_forgets_the_account(self, database_urls: DatabaseUrls) -> None:
        own = await make_tenant(database_urls.owner)
        one = Database(database_urls.app, pool_size=1, max_overflow=0)
        async with one.account(own.account_id) as conn:
            assert (await conn.execute(text("SELECT count(*) FROM chat_channels"))).scalar_one() == 1
        async with one.open() as conn:
            assert (await conn.execute(text("SELECT count(*) FROM chat_channels"))).scalar_one() == 0
        await one.close()

    async def test_passwords_are_not_readable_by_the_app_role(self, database: Database) -> None:
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.open() as conn:
                await conn.execute(text("SELECT password_hash FROM users"))


class TestMigrations:
    async def test_make_exactly_the_tables_of_the_metadata(self, database_urls: DatabaseUrls) -> None:
        engine = create_async_engine(async_url(database_urls.owner))
        async with engine.connect() as conn:
            difference = await conn.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), metadata))
            head = await conn.run_sync(
                lambda sync: ScriptDirectory.from_config(alembic_config(sync)).get_current_head()
            )
        await engine.dispose()
        assert difference == []
        assert head == HEAD


class TestStatusFromParts:
    async def test_sql_and_domain_agree_on_every_combination(
        self, database: Database, database_urls: DatabaseUrls
    ) -> None:
        tenant = await make_tenant(database_urls.owner)
        await record(database, tenant, [inbound(1)])
        combinations = [list(one) for size in (1, 2, 3) for one in combinations_with_replacement(PartStatus, size)]
        async with database.account(tenant.account_id) as conn:
            for parts in combinations:
                assert await _status_in_sql(conn, parts) == message_status(parts), parts


async def _status_in_sql(conn: object, parts: list[PartStatus]) -> str:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from db.parts import settle_message

    assert isinstance(conn, AsyncConnection)
    message_id = (
        await conn.execute(
            text(
                "INSERT INTO chat_messages (id, account_id, channel_id, session_id, direction, content,"
                " sanitized_content, reply_to, trace_id) SELECT gen_random_uuid(), account_id, channel_id, id,"
                " 'outbound', 'x', 'x', '{}', 't' FROM chat_sessions LIMIT 1 RETURNING id"
            )
        )
    ).scalar_one()
    for number, status in enumerate(parts, start=1):
        await conn.execute(
            text(
                "INSERT INTO message_deliveries (id, account_id, message_id, session_id, channel_id, part_no, body,"
                " plain, nonce, status) SELECT gen_random_uuid(), account_id, id, session_id, channel_id, :number,"
                " 'x', 'x', 'n', :status FROM chat_messages WHERE id = :id"
            ),
            {"id": message_id, "number": number, "status": status.value},
        )
    return (await settle_message(conn, message_id)).delivery_status


class TestDowngrade:
    def test_takes_everything_back_and_can_be_applied_again(self, database_urls: DatabaseUrls) -> None:
        downgrade(database_urls.owner)
        upgrade(database_urls.owner)
