"""What was said while nobody listened, and too long ago: part of the conversation, seen by operators, never answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, mapping, message_view
from db.session import Database
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import leave, record, rows
from tests.tenants import Tenant, inbound, make_tenant

MESSAGES = "SELECT content, late, arrival_no, handled_at, deferred_until FROM chat_messages ORDER BY content"
SESSION = "SELECT status, epoch, last_arrival_no, processed_no, message_count FROM chat_sessions"


@pytest.fixture
async def tenant(database_urls: DatabaseUrls) -> Tenant:
    return await make_tenant(database_urls.owner)


def late(number: int) -> Any:
    return replace(inbound(number), late=True)


class TestLate:
    async def test_is_a_message_of_the_session_that_wakes_nobody(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [late(1)])
        [message] = await rows(database, tenant, MESSAGES)
        assert (message.content, message.late, message.arrival_no) == ("hello 1", True, None)
        assert message.handled_at is not None
        assert [(row.kind, row.name) for row in await leave(database, tenant)] == [
            ("event", "MessageCreated"),
            ("event", "ChatMessageCreated"),
            ("event", "SessionUpdated"),
            ("event", "ConversationCreated"),
        ]
        [item] = await rows(database, tenant, "SELECT state, reason FROM inbound_events")
        assert (item.state, item.reason) == ("late", "said too long ago, while nobody listened")

    async def test_its_event_is_its_view(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [late(1)])
        [seen] = await rows(database, tenant, "SELECT flow.message_view(m) AS view FROM chat_messages m")
        async with database.account(tenant.account_id) as conn:
            query = text(f"SELECT {MESSAGE_COLUMNS} FROM chat_messages m").columns(**MESSAGE_TYPES)
            fresh = message_view(mapping((await conn.execute(query)).one()))
        [told] = [row for row in await leave(database, tenant) if row.name == "ChatMessageCreated"]
        assert orjson.loads(told.data)["message"] == seen.view == fresh.model_dump(mode="json")
        assert fresh.late

    async def test_leaves_no_gap_for_what_comes_after(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)])
        await record(database, tenant, [late(2)])
        await record(database, tenant, [late(3), inbound(4)])
        found = await rows(database, tenant, MESSAGES)
        assert [(row.late, row.arrival_no) for row in found] == [(False, 1), (True, None), (True, None), (False, 2)]
        said = await rows(database, tenant, "SELECT content, sequence_number n FROM ai_messages ORDER BY 2")
        assert [(row.content, row.n) for row in said] == [
            ("hello 1", 1),
            ("hello 2", 2),
            ("hello 3", 3),
            ("hello 4", 4),
        ]
        [session] = await rows(database, tenant, SESSION)
        assert (session.last_arrival_no, session.message_count) == (2, 4)

    async def test_a_closed_session_stays_closed(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)])
        await rows(database, tenant, "UPDATE chat_sessions SET status='closed', closed_at=now() RETURNING id")
        await record(database, tenant, [late(2)])
        [session] = await rows(database, tenant, SESSION)
        assert (session.status, session.epoch, session.last_arrival_no) == ("closed", 1, 1)

    async def test_over_the_rate_limit_it_does_not_wait_for_an_answer(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [late(1)], until=datetime.now(UTC) + timedelta(minutes=1))
        [message] = await rows(database, tenant, MESSAGES)
        assert (message.late, message.deferred_until) == (True, None)

    async def test_of_a_blocked_person_is_kept_as_blocked(self, database: Database, tenant: Tenant) -> None:
        await rows(
            database,
            tenant,
            "INSERT INTO chat_blacklists (id, account_id, platform_user_id, block_type) VALUES"
            f" (gen_random_uuid(), '{tenant.account_id}', 'user-c1', 'permanent') RETURNING id",
        )
        await record(database, tenant, [late(1)])
        [item] = await rows(database, tenant, "SELECT state FROM inbound_events")
        assert item.state == "blocked"
        assert await rows(database, tenant, "SELECT 1 FROM ai_messages") == []
