"""`powernode platform-admin`: the flag in the database, and the sockets that are called back."""

from __future__ import annotations

from typing import Any, cast

from redis.asyncio import Redis
from sqlalchemy import text

from db.customers import is_platform_admin
from db.session import Database
from realtime.control import CONTROL_STREAM
from realtime.keys import live_channel
from stack.platform_admin import change
from tests.conftest import DatabaseUrls
from tests.realtime.support import WAIT_S
from tests.tenants import make_tenant


class TestChange:
    async def test_grants_and_revokes_and_calls_sockets_back(
        self, database: Database, database_urls: DatabaseUrls, redis: Redis, redis_url: str
    ) -> None:
        tenant = await make_tenant(database_urls.owner)
        async with redis.pubsub() as heard:  # pyright: ignore[reportUnknownMemberType]
            await heard.subscribe(live_channel(CONTROL_STREAM))
            await heard.get_message(timeout=WAIT_S)
            for granted in (True, False):
                assert await change(database_urls.owner, redis_url, tenant.email.upper(), granted=granted)
                async with database.open() as conn:
                    assert await is_platform_admin(conn, tenant.user_id) is granted
                message = cast("Any", await heard.get_message(ignore_subscribe_messages=True, timeout=WAIT_S))
                assert message is not None
                assert str(tenant.user_id) in str(message["data"])

    async def test_nobody_is_told_apart(self, database_urls: DatabaseUrls, redis: Redis, redis_url: str) -> None:
        assert not await change(database_urls.owner, redis_url, "nobody@example.org", granted=True)

    async def test_processes_cannot_grant_it(self, database: Database, database_urls: DatabaseUrls) -> None:
        tenant = await make_tenant(database_urls.owner)
        async with database.account(tenant.account_id) as conn:
            found = await conn.execute(
                text("SELECT has_column_privilege(current_user, 'users', 'platform_admin', 'UPDATE')")
            )
            assert found.scalar_one() is False
