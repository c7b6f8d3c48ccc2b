"""What the worker does beside Temporal: nothing stays behind that a killed process has left."""

from __future__ import annotations

from uuid import uuid4

from redis.asyncio import Redis

from activities.dispatch import Dispatcher
from activities.sweeper import Sweeper
from db import budgets, turns
from db.budgets import Cap
from db.session import Database
from db.turns import Wanted
from domain.budget import BudgetPeriod
from realtime.publish import Publisher
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record, rows
from tests.tenants import inbound, make_tenant


class TestFree:
    async def test_gives_back_what_dead_turns_hold_of_their_budgets(
        self, database: Database, database_urls: DatabaseUrls, redis: Redis
    ) -> None:
        tenant = await make_tenant(database_urls.owner)
        await record(database, tenant, [inbound(1)])
        async with database.account(tenant.account_id) as conn:
            await budgets.put(conn, Cap(None, BudgetPeriod.DAY, 1))
        [message] = await rows(database, tenant, "SELECT id, session_id FROM chat_messages")
        wanted = Wanted(uuid4(), message.session_id, [message.id], "trace-1", 1, with_steps=False)
        opened = await turns.begin(database, tenant.account_id, wanted)
        sweeper = Sweeper(database, Dispatcher(database, lambda: None, Publisher(redis), task_queue="any"), "w", [], [])
        assert await sweeper.free() == 0
        [held] = await rows(database, tenant, "SELECT reserved_tokens FROM ai_budgets")
        assert held.reserved_tokens == opened.reserved
        await rows(
            database, tenant, "UPDATE budget_reservations SET created_at = now() - interval '61 minutes' RETURNING step"
        )
        assert [await sweeper.free(), await sweeper.free()] == [1, 0]
        [held] = await rows(database, tenant, "SELECT reserved_tokens FROM ai_budgets")
        assert held.reserved_tokens == 0
