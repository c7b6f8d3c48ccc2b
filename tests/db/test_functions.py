"""The functions of the hot path: the same views, decisions and walls as the code beside them, and safe to call twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text

from activities.attempts import decide
from db import deliveries, outbound, outbox, turns
from db.deliveries import Outcome
from db.outgoing import Outgoing, Part
from db.part_rows import Claims, PartRow
from db.rows import (
    CONVERSATION_MESSAGE_COLUMNS,
    MESSAGE_COLUMNS,
    MESSAGE_TYPES,
    SESSION_COLUMNS,
    conversation_message_view,
    mapping,
    message_view,
    session_view,
)
from db.session import Database
from db.turns import StepRow, Wanted
from domain.message import PartStatus
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record
from tests.tenants import Tenant, inbound, make_tenant

STEP = StepRow(1, "model", "local", {"messages": 2, "tools": []}, {"text": "hello", "tool_calls": []}, 3, 4)


@dataclass(frozen=True)
class Talk:
    """A session with one message, and the turn that answers it."""

    tenant: Tenant
    session_id: UUID
    message_id: UUID
    turn_id: UUID

    @property
    def account_id(self) -> UUID:
        """Return the account."""
        return self.tenant.account_id

    def wanted(self) -> Wanted:
        """Return what opens the turn."""
        return Wanted(self.turn_id, self.session_id, [self.message_id], "trace-1", 1, with_steps=True)

    def reply(self, *parts: str) -> Outgoing:
        """Return the turn's reply."""
        content = "".join(parts)
        rendered = [Part(part, part) for part in parts]
        return Outgoing(self.session_id, content, rendered, "trace-1", turn_id=self.turn_id, handled=[self.message_id])


async def scalar(database: Database, talk: Talk, query: str, **values: object) -> Any:
    async with database.account(talk.account_id) as conn:
        return (await conn.execute(text(query), values)).scalar_one()


@pytest.fixture
async def talk(database: Database, database_urls: DatabaseUrls) -> Talk:
    tenant = await make_tenant(database_urls.owner)
    await record(database, tenant, [inbound(1)])
    async with database.account(tenant.account_id) as conn:
        row = (await conn.execute(text("SELECT session_id, id FROM chat_messages"))).one()
    return Talk(tenant, row.session_id, row.id, uuid4())


async def answered(database: Database, talk: Talk, *parts: str) -> UUID:
    """Run the turn to its recorded reply; return the message."""
    await turns.begin(database, talk.account_id, talk.wanted())
    await turns.save_step(database, talk.account_id, talk.turn_id, STEP)
    reply = await outbound.record_reply(database, talk.account_id, talk.reply(*parts))
    assert reply is not None
    return UUID(reply.message_id)


class TestViews:
    async def test_are_those_of_the_code(self, database: Database, talk: Talk) -> None:
        message_id = await answered(database, talk, "one", "two")
        async with database.account(talk.account_id) as conn:
            # Whole seconds are spelled without a fraction; every kind of null and value shall occur.
            await conn.execute(text("UPDATE chat_sessions SET last_activity_at = date_trunc('second', now())"))
            await conn.execute(
                text(
                    "UPDATE message_deliveries SET status = 'dead', error_code = 'x', error_message = 'y', attempts = 2"
                    " WHERE message_id = :id AND part_no = 2"
                ),
                {"id": message_id},
            )
            await conn.execute(
                text("UPDATE ai_messages SET status = 'failed', error_message = 'no' WHERE role = 'assistant'")
            )
            sessions = await conn.execute(
                text(f"SELECT {SESSION_COLUMNS}, flow.session_view(s) AS theirs FROM chat_sessions s")
            )
            for row in sessions.all():
                assert row.theirs == session_view(mapping(row)).model_dump(mode="json")
            messages = await conn.execute(
                text(f"SELECT {MESSAGE_COLUMNS}, flow.message_view(m) AS theirs FROM chat_messages m").columns(
                    **MESSAGE_TYPES
                )
            )
            found = messages.all()
            assert sorted(len(row.delivery_detail) for row in found) == [0, 2]
            for row in found:
                assert row.theirs == message_view(mapping(row)).model_dump(mode="json")
            said = await conn.execute(
                text(
                    f"SELECT {CONVERSATION_MESSAGE_COLUMNS}, flow.conversation_message_view(a) AS theirs"
                    " FROM ai_messages a ORDER BY a.sequence_number"
                )
            )
            for row, name in zip(said.all(), ("Alice", "Ada"), strict=True):
                assert row.theirs == conversation_message_view(mapping(row)).model_dump(mode="json")
                assert row.theirs["sender_info"]["name"] == name


class TestWalls:
    async def test_a_foreign_account_finds_nothing(
        self, database: Database, database_urls: DatabaseUrls, talk: Talk
    ) -> None:
        message_id = await answered(database, talk, "one")
        foreign = (await make_tenant(database_urls.owner)).account_id
        opened = await turns.begin(database, foreign, replace(talk.wanted(), turn_id=uuid4()))
        assert opened.skip == "the session is gone"
        assert await turns.load_steps(database, foreign, talk.turn_id) == []
        assert await outbound.record_reply(database, foreign, talk.reply("one")) is None
        assert await deliveries.claim_plainly(database, foreign, (message_id, 1), uuid4(), Claims(20)) is None
        async with outbox.taken(database, outbox.session_aggregate(foreign, talk.session_id)) as rows:
            assert rows == []

    async def test_a_call_leaves_no_account_behind(self, database_urls: DatabaseUrls, talk: Talk) -> None:
        one = Database(database_urls.app, pool_size=1)
        await turns.begin(one, talk.account_id, talk.wanted())
        row = await one.call("SELECT count(*) FROM chat_sessions")
        assert row is not None
        assert row[0] == 0
        await one.close()

    async def test_others_may_not_call_them(self, database: Database) -> None:
        async with database.open() as conn:
            public = await conn.execute(
                text(
                    "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'flow'::regnamespace"
                    " AND has_function_privilege('public', p.oid, 'execute')"
                )
            )
            assert public.all() == []


class TestCall:
    async def test_is_repeated_once_when_its_connection_was_lost(
        self, database: Database, database_urls: DatabaseUrls, talk: Talk
    ) -> None:
        one = Database(database_urls.app, pool_size=1)
        assert await turns.load_steps(one, talk.account_id, talk.turn_id) == []
        async with database.open() as conn:
            ended = await conn.execute(
                text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND query LIKE '%flow.load_steps%' AND pid <> pg_backend_pid()"
                )
            )
            assert ended.scalar_one() >= 1
        assert await turns.load_steps(one, talk.account_id, talk.turn_id) == []
        await one.close()

    async def test_says_what_postgres_refused(self, database: Database) -> None:
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await database.call("SELECT flow.no_such_function()")


class TestTurn:
    async def test_is_opened_once_and_shows_what_is_to_be_answered_last(self, database: Database, talk: Talk) -> None:
        await answered(database, talk, "first answer")
        await record(database, talk.tenant, [inbound(2)])
        await record(database, talk.tenant, [inbound(3)])
        second: UUID = await scalar(database, talk, "SELECT id FROM chat_messages WHERE arrival_no = 2")
        wanted = replace(talk.wanted(), turn_id=uuid4(), message_ids=[second])
        for _ in range(2):
            opened = await turns.begin(database, talk.account_id, wanted)
            # The third message waits for its own turn.
            assert opened.said == [("user", "hello 1"), ("assistant", "first answer"), ("user", "hello 2")]
            assert opened.skip is None
        assert await scalar(database, talk, "SELECT count(*) FROM turns") == 2

    async def test_a_step_that_was_stored_stands(self, database: Database, talk: Talk) -> None:
        await turns.begin(database, talk.account_id, talk.wanted())
        other = replace(STEP, response={"text": "another", "tool_calls": []})
        stored = await asyncio.gather(
            *(turns.save_step(database, talk.account_id, talk.turn_id, step) for step in (STEP, other, STEP))
        )
        assert stored[0] == stored[1] == stored[2]
        assert (await turns.begin(database, talk.account_id, talk.wanted())).steps == [stored[0]]


class TestReply:
    async def test_is_recorded_once(self, database: Database, talk: Talk) -> None:
        await turns.begin(database, talk.account_id, talk.wanted())
        await turns.save_step(database, talk.account_id, talk.turn_id, STEP)
        replies = await asyncio.gather(
            *(outbound.record_reply(database, talk.account_id, talk.reply("hello")) for _ in range(5))
        )
        assert len({reply.message_id for reply in replies if reply is not None}) == 1
        assert None not in replies
        query = "SELECT count(*) FROM chat_messages WHERE direction = 'outbound'"
        assert await scalar(database, talk, query) == 1
        assert await scalar(database, talk, "SELECT input_tokens + output_tokens FROM turns") == 7

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ("owner = 'human'", "a human has the session"),
            ("status = 'blocked'", "the session is blocked"),
            ("version = version", "nothing to say"),
        ],
    )
    async def test_is_not_recorded_when_there_is_to_be_none(
        self, database: Database, talk: Talk, change: str, reason: str
    ) -> None:
        await turns.begin(database, talk.account_id, talk.wanted())
        async with database.account(talk.account_id) as conn:
            await conn.execute(text(f"UPDATE chat_sessions SET {change}"))
        out = talk.reply() if reason == "nothing to say" else talk.reply("hello")
        assert await outbound.record_reply(database, talk.account_id, out) is None
        assert await scalar(database, talk, "SELECT reason FROM turns") == reason
        assert await scalar(database, talk, "SELECT handled_at IS NOT NULL FROM chat_messages") is True


class TestClaimPlainly:
    async def test_never_claims_what_the_full_decision_would_not(self, database: Database, talk: Talk) -> None:
        message_id = await answered(database, talk, "one", "two")
        statuses = ("queued", "attempting", "sent", "dead", "unknown")
        combinations = product(statuses, statuses, ("ai", "human"), ("active", "blocked"), (False, True), (False, True))
        claimed = 0
        for first, second, owner, status, paused, waits in combinations:
            values = {"first": first, "second": second, "owner": owner, "status": status}
            async with database.account(talk.account_id) as conn:
                await conn.execute(text("UPDATE chat_sessions SET owner = :owner, status = :status"), values)
                await conn.execute(
                    text(f"UPDATE chat_channels SET send_paused_until = now() + interval '{int(paused) * 2 - 1} min'")
                )
                await conn.execute(
                    text(
                        "UPDATE message_deliveries SET claim_id = NULL, deadline_at = now(), status ="
                        f" CASE part_no WHEN 1 THEN :first ELSE :second END, next_attempt_at = now() + interval '{int(waits)} min'"
                    ),
                    values,
                )
                stand = await deliveries.load(conn, message_id, 1)
            assert stand is not None
            full = decide(stand, 0.0, Claims())
            plain = await deliveries.claim_plainly(database, talk.account_id, (message_id, 1), uuid4(), Claims(20))
            if plain is None:
                continue
            claimed += 1
            assert isinstance(full, PartRow)
            assert full.status is PartStatus.QUEUED
            assert (plain[0].parts[0].id, plain[1]) == (full.id, full is stand.parts[-1])
        assert claimed == 3

    async def test_is_the_same_claim_when_asked_again(self, database: Database, talk: Talk) -> None:
        message = (await answered(database, talk, "one"), 1)
        claim_id = uuid4()
        first = await deliveries.claim_plainly(database, talk.account_id, message, claim_id, Claims(20))
        again = await deliveries.claim_plainly(database, talk.account_id, message, claim_id, Claims(20))
        assert first is not None
        assert again is not None
        assert again[0].parts[0].id == first[0].parts[0].id
        assert await scalar(database, talk, "SELECT attempts FROM message_deliveries") == 1
        assert await deliveries.claim_plainly(database, talk.account_id, message, uuid4(), Claims(20)) is None

    async def test_an_older_generation_is_not_claimed(self, database: Database, talk: Talk) -> None:
        message_id = await answered(database, talk, "one")
        async with database.account(talk.account_id) as conn:
            await conn.execute(text("UPDATE chat_messages SET generation = 2 WHERE id = :id"), {"id": message_id})
        assert await deliveries.claim_plainly(database, talk.account_id, (message_id, 1), uuid4(), Claims(20)) is None


class TestSettlePlainly:
    async def _claimed(self, database: Database, talk: Talk) -> Outcome:
        message_id, claim_id = await answered(database, talk, "one"), uuid4()
        claimed = await deliveries.claim_plainly(database, talk.account_id, (message_id, 1), claim_id, Claims(20))
        assert claimed is not None
        return Outcome(claimed[0].parts[0].id, PartStatus.SENT, claim_id, "platform-1")

    async def test_writes_once_and_tells_the_readers(self, database: Database, talk: Talk) -> None:
        outcome = await self._claimed(database, talk)
        settled = [await deliveries.settle_plainly(database, talk.account_id, outcome) for _ in range(2)]
        assert settled == [True, False]
        told = "SELECT data -> 'message' ->> 'delivery_status' FROM outbox WHERE name = 'ChatMessageStatus'"
        assert await scalar(database, talk, told) == "sent"

    async def test_a_lost_claim_writes_nothing(self, database: Database, talk: Talk) -> None:
        outcome = await self._claimed(database, talk)
        lost = replace(outcome, claim_id=uuid4())
        assert not await deliveries.settle_plainly(database, talk.account_id, lost)
        assert await scalar(database, talk, "SELECT status FROM message_deliveries") == "attempting"

    async def test_a_receipt_that_came_early_is_left_to_the_long_way(self, database: Database, talk: Talk) -> None:
        outcome = await self._claimed(database, talk)
        async with database.account(talk.account_id) as conn:
            await conn.execute(text("UPDATE inbound_events SET state = 'parked', target_message_id = 'platform-1'"))
        assert not await deliveries.settle_plainly(database, talk.account_id, outcome)
        assert await scalar(database, talk, "SELECT status FROM message_deliveries") == "attempting"


class TestOutbox:
    async def test_one_takes_them_and_what_was_carried_is_gone(self, database: Database, talk: Talk) -> None:
        aggregate = outbox.session_aggregate(talk.account_id, talk.session_id)
        async with outbox.taken(database, aggregate) as rows:
            assert rows is not None
            assert rows[0].name == "message_received"
            async with outbox.taken(database, aggregate) as others:
                assert others is None
        async with outbox.taken(database, aggregate) as rows:
            assert rows == []

    async def test_an_error_leaves_the_rows_for_the_next(self, database: Database, talk: Talk) -> None:
        aggregate = outbox.session_aggregate(talk.account_id, talk.session_id)

        async def fail() -> None:
            async with outbox.taken(database, aggregate) as rows:
                assert rows
                raise ZeroDivisionError

        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await fail()

    async def test_a_cancelled_dispatch_leaves_no_lock(self, database: Database, talk: Talk) -> None:
        aggregate = outbox.session_aggregate(talk.account_id, talk.session_id)
        inside = asyncio.Event()

        async def hold() -> None:
            async with outbox.taken(database, aggregate):
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await inside.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        until = datetime.now(UTC) + timedelta(seconds=10)
        while datetime.now(UTC) < until:
            async with outbox.taken(database, aggregate) as rows:
                if rows is not None:
                    assert rows
                    return
            # The server notices the closed connection on its own time.
            await asyncio.sleep(0.01)
        pytest.fail("the lock was never given back")
