"""What a process that stands still in the middle of a transaction does to the others."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from db.session import Database
from domain.errors import UnavailableError
from tests.conftest import DatabaseUrls
from tests.tenants import make_tenant

LOCK = text("SELECT 1 FROM chat_channels WHERE id = :id FOR UPDATE")


class TestStandingStill:
    @pytest.mark.full
    async def test_its_locks_are_given_back(self, database: Database, database_urls: DatabaseUrls) -> None:
        tenant = await make_tenant(database_urls.owner)
        stands_still = asyncio.Event()

        async def stand_still() -> None:
            async with database.account(tenant.account_id) as conn:
                await conn.execute(LOCK, {"id": tenant.channel_id})
                stands_still.set()
                await asyncio.Event().wait()

        standing = asyncio.create_task(stand_still())
        await stands_still.wait()
        async with database.account(tenant.account_id) as conn:
            await conn.execute(LOCK, {"id": tenant.channel_id})
        standing.cancel()
        with pytest.raises((asyncio.CancelledError, UnavailableError)):
            await standing
