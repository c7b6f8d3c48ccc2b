"""What must leave stays in the outbox until it has left."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from activities.dispatch import Dispatcher, DispatchError
from db.outbox import session_aggregate
from db.session import Database
from realtime.publish import Publisher
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record, rows
from tests.tenants import inbound, make_tenant


class TestDispatch:
    async def test_what_could_not_be_sent_stays(
        self, database: Database, database_urls: DatabaseUrls, redis: Redis
    ) -> None:
        tenant = await make_tenant(database_urls.owner)
        await record(database, tenant, [inbound(1)])
        before = await rows(database, tenant, "SELECT * FROM outbox ORDER BY id")
        assert [row.kind for row in before] == ["arrival"]
        [session] = await rows(database, tenant, "SELECT id FROM chat_sessions")
        without_temporal = Dispatcher(database, lambda: None, Publisher(redis), task_queue="any")
        with pytest.raises(DispatchError):
            await without_temporal.dispatch(session_aggregate(tenant.account_id, session.id))
        assert await rows(database, tenant, "SELECT * FROM outbox ORDER BY id") == before
