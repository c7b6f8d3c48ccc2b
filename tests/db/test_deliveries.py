"""A claim is one worker's, and only what its holder writes counts; and what the platform's receipts make of a part."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from db import claims, deliveries, parts
from db.deliveries import Outcome
from db.part_rows import Change, Claims
from db.session import Database
from domain.message import EventKind, InboundEvent, PartStatus, StatusUpdate
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record, rows
from tests.tenants import Tenant, inbound, make_tenant


@pytest.fixture
async def tenant(database_urls: DatabaseUrls) -> Tenant:
    return await make_tenant(database_urls.owner)


@pytest.fixture
async def message_id(database: Database, tenant: Tenant) -> UUID:
    """A message of one part that waits."""
    await record(database, tenant, [inbound(1)])
    async with database.account(tenant.account_id) as conn:
        return (
            await conn.execute(
                text(
                    "WITH m AS (INSERT INTO chat_messages (id, account_id, channel_id, session_id, direction, content,"
                    " sanitized_content, reply_to, trace_id) SELECT gen_random_uuid(), account_id, channel_id, id,"
                    " 'outbound', 'x', 'x', '{}', 't' FROM chat_sessions RETURNING *)"
                    " INSERT INTO message_deliveries (id, account_id, message_id, session_id, channel_id, part_no, body,"
                    " plain, nonce) SELECT gen_random_uuid(), account_id, id, session_id, channel_id, 1, 'x', 'x',"
                    " left(replace(id::text, '-', ''), 20) || '-1'"
                    " FROM m RETURNING message_id"
                )
            )
        ).scalar_one()


class TestClaimPlainly:
    async def test_the_same_claim_again_is_the_same_and_another_gets_nothing(
        self, database: Database, tenant: Tenant, message_id: UUID
    ) -> None:
        claim, account = uuid4(), tenant.account_id
        for _ in range(2):
            claimed = await deliveries.claim_plainly(database, account, (message_id, 1), claim, Claims(20))
            assert claimed is not None
            assert claimed[1]
        assert await deliveries.claim_plainly(database, account, (message_id, 1), uuid4(), Claims(20)) is None
        [part] = await rows(database, tenant, "SELECT claim_id, attempts FROM message_deliveries")
        assert (part.claim_id, part.attempts) == (claim, 1)


class TestFencing:
    async def test_what_a_former_holder_writes_changes_nothing(
        self, database: Database, tenant: Tenant, message_id: UUID
    ) -> None:
        former, holder, account = uuid4(), uuid4(), tenant.account_id
        claimed = await deliveries.claim_plainly(database, account, (message_id, 1), former, Claims(0))
        assert claimed is not None
        part_id = claimed[0].parts[0].id
        async with database.account(account) as conn:
            await deliveries.claim(conn, part_id, holder, 20)
        before = await rows(database, tenant, "SELECT * FROM message_deliveries")
        late = Outcome(part_id, PartStatus.DEAD, former, error=("late", "late"))
        assert not await deliveries.settle_plainly(database, account, late)
        async with database.account(account) as conn:
            told = await deliveries.settle(
                conn, claimed[0].channel, before[0].session_id, message_id, late, has_receipts=False
            )
            assert told is None
            await claims.hold(conn, part_id, former, ("late", "late"))
            await claims.requeue(conn, part_id, former, ("late", "late"), Change())
        assert await rows(database, tenant, "SELECT * FROM message_deliveries") == before
        kept = Outcome(part_id, PartStatus.SENT, holder, "9")
        assert await deliveries.settle_plainly(database, account, kept)
        [part] = await rows(database, tenant, "SELECT status, platform_message_id FROM message_deliveries")
        assert (part.status, part.platform_message_id) == ("sent", "9")


@pytest.fixture
async def part(database: Database, tenant: Tenant, message_id: UUID) -> UUID:
    """The message's part, claimed by somebody whose answer is lost."""
    claimed = await deliveries.claim_plainly(database, tenant.account_id, (message_id, 1), uuid4(), Claims(20))
    assert claimed is not None
    return claimed[0].parts[0].id


@pytest.fixture
def nonce(message_id: UUID) -> str:
    """What the part's send carried."""
    return f"{message_id.hex[:20]}-1"


def receipt(status: PartStatus, nonce: str | None) -> InboundEvent:
    event = inbound(100, kind=EventKind.STATUS)
    update = StatusUpdate("wamid.1", status, nonce=nonce)
    return replace(event, dedup_key=f"status:{status}:{nonce}", status=update, target_message_id="wamid.1")


class TestReceipts:
    PART = "SELECT status, platform_message_id FROM message_deliveries"

    @pytest.mark.parametrize("before", ["queued", "attempting", "unknown"])
    async def test_one_that_brings_the_nonce_settles_what_nobody_could_tell(
        self, database: Database, tenant: Tenant, part: UUID, nonce: str, before: str
    ) -> None:
        await rows(database, tenant, f"UPDATE message_deliveries SET status = '{before}' RETURNING 1")
        await record(database, tenant, [receipt(PartStatus.DELIVERED, nonce)])
        assert [tuple(row) for row in await rows(database, tenant, self.PART)] == [("delivered", "wamid.1")]
        [message] = await rows(database, tenant, "SELECT * FROM chat_messages WHERE direction = 'outbound'")
        assert (message.delivery_status, message.platform_message_id) == ("delivered", "wamid.1")

    async def test_the_holder_that_wakes_later_changes_nothing(
        self, database: Database, tenant: Tenant, part: UUID, nonce: str
    ) -> None:
        [claim] = await rows(database, tenant, "SELECT claim_id FROM message_deliveries")
        await record(database, tenant, [receipt(PartStatus.DELIVERED, nonce)])
        late = Outcome(part, PartStatus.UNKNOWN, claim.claim_id, error=("unknown_outcome", "lost"))
        assert not await deliveries.settle_plainly(database, tenant.account_id, late)
        assert [tuple(row) for row in await rows(database, tenant, self.PART)] == [("delivered", "wamid.1")]

    @pytest.mark.parametrize("other", [None, "", "another", "83a6faf69b15489c96f5-1"])
    async def test_one_without_it_waits_for_the_sends_answer(
        self, database: Database, tenant: Tenant, part: UUID, other: str | None
    ) -> None:
        await record(database, tenant, [receipt(PartStatus.DELIVERED, other)])
        assert [tuple(row) for row in await rows(database, tenant, self.PART)] == [("attempting", None)]
        assert await rows(database, tenant, "SELECT 1 FROM inbound_events WHERE state = 'parked'")

    async def test_another_channels_nonce_is_not_ours(
        self, database: Database, database_urls: DatabaseUrls, tenant: Tenant, part: UUID, nonce: str
    ) -> None:
        await record(database, await make_tenant(database_urls.owner), [receipt(PartStatus.DELIVERED, nonce)])
        assert [tuple(row) for row in await rows(database, tenant, self.PART)] == [("attempting", None)]

    async def test_two_at_once_never_lower_it(self, database: Database, tenant: Tenant, part: UUID, nonce: str) -> None:
        await record(database, tenant, [receipt(PartStatus.SENT, nonce)])
        async with database.account(tenant.account_id) as conn:
            [session] = await rows(database, tenant, "SELECT id FROM chat_sessions")
            await parts.lock_session(conn, session.id)
            lower = asyncio.create_task(record(database, tenant, [receipt(PartStatus.DELIVERED, nonce)]))
            await waits_for_a_lock(database, tenant)
            await parts.settle_part(conn, part, PartStatus.READ)
        await lower
        assert [tuple(row) for row in await rows(database, tenant, self.PART)] == [("read", "wamid.1")]


async def waits_for_a_lock(database: Database, tenant: Tenant) -> None:
    """Wait until another transaction stands before a row that is locked."""
    async with asyncio.timeout(30):
        while not await rows(database, tenant, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
