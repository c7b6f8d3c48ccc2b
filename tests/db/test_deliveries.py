"""A claim is one worker's, and only what its holder writes counts."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from db import claims, deliveries
from db.deliveries import Outcome
from db.session import Database
from domain.message import PartStatus
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
                    " plain, nonce) SELECT gen_random_uuid(), account_id, id, session_id, channel_id, 1, 'x', 'x', 'n'"
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
            claimed = await deliveries.claim_plainly(database, account, (message_id, 1), claim, 20)
            assert claimed is not None
            assert claimed[1]
        assert await deliveries.claim_plainly(database, account, (message_id, 1), uuid4(), 20) is None
        [part] = await rows(database, tenant, "SELECT claim_id, attempts FROM message_deliveries")
        assert (part.claim_id, part.attempts) == (claim, 1)


class TestFencing:
    async def test_what_a_former_holder_writes_changes_nothing(
        self, database: Database, tenant: Tenant, message_id: UUID
    ) -> None:
        former, holder, account = uuid4(), uuid4(), tenant.account_id
        claimed = await deliveries.claim_plainly(database, account, (message_id, 1), former, 0)
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
            await claims.requeue(conn, part_id, former, ("late", "late"), wait_s=0)
        assert await rows(database, tenant, "SELECT * FROM message_deliveries") == before
        kept = Outcome(part_id, PartStatus.SENT, holder, "9")
        assert await deliveries.settle_plainly(database, account, kept)
        [part] = await rows(database, tenant, "SELECT status, platform_message_id FROM message_deliveries")
        assert (part.status, part.platform_message_id) == ("sent", "9")
