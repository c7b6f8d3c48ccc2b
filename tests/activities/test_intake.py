"""What enters by a webhook or a socket: what takes a place in the channel's rate, and what does not."""

from __future__ import annotations

from dataclasses import replace

import httpx2
from redis.asyncio import Redis

from activities.arrival_limit import ArrivalLimit
from activities.dispatch import Dispatcher
from activities.intake import Intake
from adapters.registry import Platforms
from db.channels import find_channel
from db.session import Database
from realtime.publish import Publisher
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import RAW, rows
from tests.tenants import Wish, inbound, make_tenant


class TestRate:
    async def test_what_nobody_answers_any_more_takes_no_place(
        self, database: Database, database_urls: DatabaseUrls, redis: Redis
    ) -> None:
        tenant = await make_tenant(database_urls.owner, Wish(rate=1))
        channel = await find_channel(database, tenant.webhook_token)
        assert channel is not None
        intake = Intake(
            database, Dispatcher(database, lambda: None, Publisher(redis), task_queue="any"), ArrivalLimit(redis)
        )
        async with httpx2.AsyncClient() as http:
            adapter = Platforms(http).get("telegram")
            for number in (1, 2, 3):
                await intake.take(channel, adapter, RAW, [replace(inbound(number), late=True)])
            await intake.take(channel, adapter, RAW, [inbound(4)])
            await intake.take(channel, adapter, RAW, [inbound(5)])
        query = "SELECT late, deferred_until IS NOT NULL AS waits FROM chat_messages WHERE direction = 'inbound' ORDER BY content"
        found = await rows(database, tenant, query)
        assert [(row.late, row.waits) for row in found] == [
            (True, False),
            (True, False),
            (True, False),
            (False, False),
            (False, True),
        ]
