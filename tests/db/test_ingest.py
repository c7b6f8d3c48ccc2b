"""One verified webhook becomes rows, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from db import deferred, ingest
from db.channels import find_channel
from db.ingest import Ingested, NothingNewError, RawWebhook
from db.outbox import OutboxRow, session_aggregate, taken
from db.session import Database
from domain.message import EventKind, InboundEvent
from tests.conftest import DatabaseUrls
from tests.tenants import Tenant, inbound, make_tenant

RAW = RawWebhook(b'{"update_id":1}', {"content-type": ["application/json"], "x-secret": ["s3cret"]}, "trace-1")


@pytest.fixture
async def tenant(database_urls: DatabaseUrls) -> Tenant:
    return await make_tenant(database_urls.owner)


async def record(
    database: Database, tenant: Tenant, events: Sequence[InboundEvent], *, until: datetime | None = None
) -> Ingested | None:
    try:
        channel = await find_channel(database, tenant.webhook_token)
        assert channel is not None
        return await ingest.store(database, channel, RAW, events, deferred_until=until)
    except NothingNewError:
        return None


async def rows(database: Database, tenant: Tenant, query: str) -> list[Any]:
    async with database.account(tenant.account_id) as conn:
        return list((await conn.execute(text(query))).all())


async def leave(database: Database, tenant: Tenant) -> list[OutboxRow]:
    """Take what waits for the one session there is, as if it had been carried out."""
    [session] = await rows(database, tenant, "SELECT id FROM chat_sessions")
    async with taken(database, session_aggregate(tenant.account_id, session.id)) as leaving:
        assert leaving is not None
        return leaving


class TestRecordInbound:
    async def test_a_message_has_its_rows_and_leaves_by_the_outbox(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)])
        [message] = await rows(database, tenant, "SELECT * FROM chat_messages")
        assert (message.content, message.arrival_no, message.delivery_status) == ("hello 1", 1, "delivered")
        assert message.sanitized_content == "[USER_MESSAGE_START]\nhello 1\n[USER_MESSAGE_END]"
        [mirror] = await rows(database, tenant, "SELECT * FROM ai_messages")
        assert (mirror.id, mirror.sequence_number, mirror.role) == (message.ai_message_id, 1, "user")
        [waiting] = await rows(database, tenant, "SELECT id, kind, aggregate_version FROM outbox")
        assert (waiting.kind, waiting.aggregate_version) == ("arrival", 1)
        leaving = await leave(database, tenant)
        assert [(row.kind, row.name) for row in leaving] == [
            ("signal", "message_received"),
            ("event", "MessageCreated"),
            ("event", "ChatMessageCreated"),
            ("event", "SessionUpdated"),
            ("event", "ConversationCreated"),
        ]
        assert leaving[0].id == waiting.id
        assert len({row.id for row in leaving}) == 5
        assert await rows(database, tenant, "SELECT 1 FROM outbox") == []

    async def test_fifty_at_once_are_one(self, database: Database, tenant: Tenant) -> None:
        results = await asyncio.gather(*(record(database, tenant, [inbound(1)]) for _ in range(50)))
        assert sum(result is not None for result in results) == 1
        for table in ("webhook_deliveries", "inbound_events", "chat_messages", "ai_messages", "chat_sessions"):
            [row] = await rows(database, tenant, f"SELECT count(*) FROM {table}")
            assert row.count == 1, table

    async def test_a_batch_with_a_repeat_stores_only_what_is_new(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)])
        result = await record(database, tenant, [inbound(1), inbound(2)])
        assert result is not None
        assert result.fresh == 1
        assert [
            row.content for row in await rows(database, tenant, "SELECT content FROM chat_messages ORDER BY 1")
        ] == [
            "hello 1",
            "hello 2",
        ]

    async def test_numbers_have_no_gap_whoever_comes_first(self, database: Database, tenant: Tenant) -> None:
        await asyncio.gather(*(record(database, tenant, [inbound(n)]) for n in range(1, 41)))
        numbers = [
            r.arrival_no for r in await rows(database, tenant, "SELECT arrival_no FROM chat_messages ORDER BY 1")
        ]
        sequence = [r.n for r in await rows(database, tenant, "SELECT sequence_number n FROM ai_messages ORDER BY 1")]
        assert numbers == sequence == list(range(1, 41))

    async def test_two_batches_over_the_same_sessions_do_not_deadlock(self, database: Database, tenant: Tenant) -> None:
        chats = [f"c{n}" for n in range(8)]
        await asyncio.gather(
            *(
                record(database, tenant, [inbound(n, chat=chat) for chat in (chats if n % 2 else chats[::-1])])
                for n in range(1, 11)
            )
        )
        [row] = await rows(database, tenant, "SELECT count(*) FROM chat_messages")
        assert row.count == 80

    async def test_nul_and_lone_surrogates_are_stored_readable(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1, said="a\x00b\ud83dc")])
        [message] = await rows(database, tenant, "SELECT content FROM chat_messages")
        assert message.content == "ab\ufffdc"

    async def test_signatures_and_secrets_are_not_kept(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)])
        [row] = await rows(database, tenant, "SELECT headers::text AS headers FROM webhook_deliveries")
        assert "s3cret" not in row.headers

    async def test_a_closed_session_is_opened_again_as_a_new_epoch(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)])
        await rows(database, tenant, "UPDATE chat_sessions SET status='closed', closed_at=now() RETURNING id")
        await record(database, tenant, [inbound(2)])
        [session] = await rows(database, tenant, "SELECT status, epoch, closed_at FROM chat_sessions")
        assert (session.status, session.epoch, session.closed_at) == ("active", 2, None)

    async def test_a_blocked_person_is_kept_and_not_answered(self, database: Database, tenant: Tenant) -> None:
        await rows(
            database,
            tenant,
            "INSERT INTO chat_blacklists (id, account_id, platform_user_id, block_type) VALUES"
            f" (gen_random_uuid(), '{tenant.account_id}', 'user-c1', 'permanent') RETURNING id",
        )
        await record(database, tenant, [inbound(1)])
        [event] = await rows(database, tenant, "SELECT state FROM inbound_events")
        [message] = await rows(database, tenant, "SELECT arrival_no, handled_at FROM chat_messages")
        assert event.state == "blocked"
        assert message.arrival_no is None
        assert message.handled_at is not None
        names = [row.name for row in await leave(database, tenant)]
        assert names == ["ChatMessageCreated", "SessionUpdated", "ConversationCreated"]
        assert await rows(database, tenant, "SELECT 1 FROM outbox") == []

    async def test_an_arrival_whose_message_is_gone_holds_nothing_up(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)])
        await rows(database, tenant, "DELETE FROM chat_messages RETURNING id")
        [gone] = await leave(database, tenant)
        assert (gone.kind, gone.streams) == ("event", [])
        assert await rows(database, tenant, "SELECT 1 FROM outbox") == []

    async def test_an_expired_block_counts_no_more(self, database: Database, tenant: Tenant) -> None:
        await rows(
            database,
            tenant,
            "INSERT INTO chat_blacklists (id, account_id, platform_user_id, block_type, expires_at) VALUES"
            f" (gen_random_uuid(), '{tenant.account_id}', 'user-c1', 'temporary', now() - interval '1 s') RETURNING id",
        )
        await record(database, tenant, [inbound(1)])
        [message] = await rows(database, tenant, "SELECT arrival_no FROM chat_messages")
        assert message.arrival_no == 1


class TestEdits:
    def _edit(self, number: int, said: str) -> InboundEvent:
        return replace(inbound(number, said=said, kind=EventKind.EDIT), target_message_id=str(number))

    async def test_an_edit_changes_message_and_conversation_and_keeps_the_old_text(
        self, database: Database, tenant: Tenant
    ) -> None:
        await record(database, tenant, [inbound(1)])
        await record(database, tenant, [self._edit(1, "better")])
        [message] = await rows(database, tenant, "SELECT content, version FROM chat_messages")
        [mirror] = await rows(database, tenant, "SELECT content, is_edited, edit_history::text h FROM ai_messages")
        assert (message.content, message.version) == ("better", 2)
        assert (mirror.content, mirror.is_edited) == ("better", True)
        assert "hello 1" in mirror.h

    async def test_an_edit_of_the_unknown_is_kept_as_ignored(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [self._edit(9, "better")])
        [event] = await rows(database, tenant, "SELECT state, reason FROM inbound_events")
        assert (event.state, event.reason) == ("ignored", "the original is not known")


class TestQuarantine:
    async def test_keeps_the_body_and_the_reason(self, database: Database, tenant: Tenant) -> None:
        channel = await find_channel(database, tenant.webhook_token)
        assert channel is not None
        async with database.account(tenant.account_id) as conn:
            await ingest.quarantine(conn, channel, RAW, "not \x00 JSON")
        [row] = await rows(database, tenant, "SELECT outcome, reason, body FROM webhook_deliveries")
        assert (row.outcome, row.reason, row.body) == ("quarantined", "not  JSON", RAW.body)


class TestDeferred:
    async def test_waits_without_a_number_and_is_released_once(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)], until=datetime.now(UTC) - timedelta(seconds=1))
        [message] = await rows(database, tenant, "SELECT arrival_no, ai_message_id FROM chat_messages")
        assert (message.arrival_no, message.ai_message_id) == (None, None)
        async with database.open() as conn:
            due = [one for one in await deferred.due(conn) if one[0] == tenant.account_id]
        assert len(due) == 1

        async def release() -> object:
            async with database.account(tenant.account_id) as conn:
                return await deferred.release(conn, *due[0])

        released = await asyncio.gather(release(), release())
        assert sum(one is not None for one in released) == 1
        [message] = await rows(database, tenant, "SELECT arrival_no, deferred_until FROM chat_messages")
        assert (message.arrival_no, message.deferred_until) == (1, None)

    async def test_is_not_due_before_its_time(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1)], until=datetime.now(UTC) + timedelta(minutes=1))
        async with database.open() as conn:
            assert [one for one in await deferred.due(conn) if one[0] == tenant.account_id] == []
