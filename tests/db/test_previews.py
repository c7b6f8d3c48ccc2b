"""Placeholders as rows: who may make and change one, and which are of nothing any more."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from db import claims, deliveries, previews, turns
from db.deliveries import claim_plainly
from db.part_rows import Claims
from db.previews import PreviewOf
from db.session import Database
from db.turns import Wanted
from domain.preview import PreviewStatus
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record, rows
from tests.tenants import Tenant, inbound, make_tenant

OUTBOUND = (
    "WITH m AS (INSERT INTO chat_messages (id, account_id, channel_id, session_id, direction, content, sanitized_content,"
    " reply_to, trace_id, turn_id) SELECT gen_random_uuid(), account_id, channel_id, id, 'outbound', 'x', 'x', '{}', 't', {turn}"
    " FROM chat_sessions RETURNING *)"
    " INSERT INTO message_deliveries (id, account_id, message_id, session_id, channel_id, part_no, body, plain, nonce)"
    " SELECT gen_random_uuid(), account_id, id, session_id, channel_id, 1, 'x', 'x', 'n' FROM m RETURNING message_id"
)


def outbound(turn: UUID | None = None) -> str:
    """Return what stores an outbound message, a turn's or an operator's."""
    return OUTBOUND.replace("{turn}", f"CAST('{turn}' AS uuid)" if turn else "NULL")


@pytest.fixture
async def tenant(database_urls: DatabaseUrls) -> Tenant:
    return await make_tenant(database_urls.owner)


@pytest.fixture
async def of(database: Database, tenant: Tenant) -> PreviewOf:
    """A turn that runs."""
    await record(database, tenant, [inbound(1)])
    [message] = await rows(database, tenant, "SELECT id, session_id FROM chat_messages")
    wanted = Wanted(uuid4(), message.session_id, [message.id], "trace-1", 1, with_steps=False)
    await turns.begin(database, tenant.account_id, wanted)
    return PreviewOf(wanted.turn_id, message.session_id, message.id)


class Stagehand:
    """Asks for one turn, each time in a transaction of its own."""

    def __init__(self, database: Database, tenant: Tenant, of: PreviewOf) -> None:
        self.database, self.tenant, self.of = database, tenant, of

    async def begin(self, fence: int = 1, hold_s: float = 0) -> bool:
        async with self.database.account(self.tenant.account_id) as conn:
            return await previews.begin(conn, self.of, fence, "so far", hold_s)

    async def show(self) -> None:
        assert await self.begin()
        async with self.database.account(self.tenant.account_id) as conn:
            await previews.shown(conn, self.of.turn_id, "9")

    async def hold(self, fence: int = 1) -> bool:
        async with self.database.account(self.tenant.account_id) as conn:
            return await previews.hold(conn, self.of, fence) is not None

    async def leave(self) -> PreviewStatus | None:
        async with self.database.account(self.tenant.account_id) as conn:
            found = await previews.leave(conn, self.of.turn_id, 20)
        return None if found is None else found.status

    async def stray(self) -> bool:
        async with self.database.open() as conn:
            return (self.tenant.account_id, self.of.turn_id) in await previews.stray(conn, 1000)

    async def run(self, query: str) -> None:
        await rows(self.database, self.tenant, query)


@pytest.fixture
def hand(database: Database, tenant: Tenant, of: PreviewOf) -> Stagehand:
    return Stagehand(database, tenant, of)


class TestBegin:
    async def test_once_a_turn(self, hand: Stagehand) -> None:
        assert [await hand.begin(), await hand.begin()] == [True, False]

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE chat_sessions SET owner = 'human' RETURNING id",
            "UPDATE chat_sessions SET status = 'blocked' RETURNING id",
            "UPDATE turns SET status = 'superseded' RETURNING id",
            "UPDATE chat_channels SET send_paused_until = now() + interval '1 minute' RETURNING id",
            outbound(),
        ],
        ids=["taken over", "blocked", "interrupted", "penalty", "an earlier message waits"],
    )
    async def test_only_where_the_reply_would_be_sent_now(self, hand: Stagehand, change: str) -> None:
        await hand.run(change)
        assert not await hand.begin()


class TestHold:
    async def test_not_before_it_is_there(self, hand: Stagehand) -> None:
        await hand.begin()
        assert not await hand.hold()

    async def test_a_later_attempt_takes_it_for_good(self, hand: Stagehand) -> None:
        await hand.show()
        assert [await hand.hold(1), await hand.hold(2), await hand.hold(1), await hand.hold(2)] == [
            True,
            True,
            False,
            True,
        ]

    async def test_not_once_a_person_has_the_session(self, hand: Stagehand) -> None:
        await hand.show()
        await hand.run("UPDATE chat_sessions SET owner = 'human' RETURNING id")
        assert not await hand.hold()


class TestStray:
    async def test_one_that_grows_is_none(self, hand: Stagehand) -> None:
        await hand.show()
        assert not await hand.stray()
        assert await hand.leave() is None

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE chat_sessions SET owner = 'human' RETURNING id",
            "UPDATE turns SET status = 'superseded' RETURNING id",
            "UPDATE chat_sessions SET status = 'blocked' RETURNING id",
        ],
    )
    async def test_nothing_will_become_of_it(self, hand: Stagehand, change: str) -> None:
        await hand.show()
        await hand.run(change)
        assert await hand.stray()
        # Whoever takes it has it for a while.
        assert [await hand.leave(), await hand.leave()] == [PreviewStatus.LEAVING, None]
        assert not await hand.stray()

    async def test_not_while_it_is_being_sent(self, hand: Stagehand) -> None:
        await hand.begin(hold_s=60)
        await hand.run("UPDATE turns SET status = 'superseded' RETURNING id")
        assert not await hand.stray()

    async def test_not_while_its_reply_waits_but_when_that_is_dead(self, hand: Stagehand) -> None:
        await hand.show()
        await hand.run(outbound(hand.of.turn_id))
        await hand.run("UPDATE turns SET status = 'completed' RETURNING id")
        assert not await hand.stray()
        await hand.run("UPDATE message_deliveries SET status = 'dead' RETURNING id")
        assert await hand.stray()


class TestClaim:
    async def test_a_part_that_is_shown_already_is_not_claimed_plainly_but_with_its_placeholder(
        self, database: Database, tenant: Tenant, hand: Stagehand
    ) -> None:
        await hand.show()
        [made] = await rows(database, tenant, outbound(hand.of.turn_id))
        assert await claim_plainly(database, tenant.account_id, (made.message_id, 1), uuid4(), Claims()) is None
        async with database.account(tenant.account_id) as conn:
            loaded = await deliveries.load(conn, made.message_id, 1)
        assert loaded is not None
        assert loaded.preview is not None
        assert (loaded.preview.status, loaded.preview.platform_message_id) == (PreviewStatus.SHOWN, "9")


class TestGiveBack:
    async def test_a_claim_that_had_to_wait_was_no_attempt(
        self, database: Database, tenant: Tenant, of: PreviewOf
    ) -> None:
        [made] = await rows(database, tenant, outbound())
        account, mine = tenant.account_id, uuid4()
        claimed = await claim_plainly(database, account, (made.message_id, 1), mine, Claims())
        assert claimed is not None
        part_id = claimed[0].parts[0].id
        async with database.account(account) as conn:
            await claims.give_back(conn, part_id, uuid4(), 60)
        assert await claim_plainly(database, account, (made.message_id, 1), uuid4(), Claims()) is None
        async with database.account(account) as conn:
            await claims.give_back(conn, part_id, mine, 0)
        [part] = await rows(database, tenant, "SELECT status, attempts, first_attempt_at FROM message_deliveries")
        assert tuple(part) == ("queued", 0, None)
        assert await claim_plainly(database, account, (made.message_id, 1), uuid4(), Claims()) is not None
