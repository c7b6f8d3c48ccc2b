"""Budgets: what is reserved before a model is asked, what is charged afterwards, and that nothing is counted twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from db import budgets, outbound, turns
from db.budgets import Cap
from db.session import Database
from db.turns import StepRow, Wanted
from domain.budget import DEFAULT_OUTPUT_TOKENS, BudgetPeriod
from domain.errors import NotFoundError
from domain.views import BudgetView
from tests.conftest import DatabaseUrls
from tests.db.test_functions import STEP, Talk
from tests.db.test_ingest import record
from tests.tenants import inbound, make_tenant

ONE_CALL = 1 + 1 + DEFAULT_OUTPUT_TOKENS
"""`hello 1` is seven characters: two tokens, and what may be answered."""


@pytest.fixture
async def talk(database: Database, database_urls: DatabaseUrls) -> Talk:
    tenant = await make_tenant(database_urls.owner)
    await record(database, tenant, [inbound(1)])
    async with database.account(tenant.account_id) as conn:
        row = (await conn.execute(text("SELECT session_id, id FROM chat_messages"))).one()
    return Talk(tenant, row.session_id, row.id, uuid4())


async def put(database: Database, talk: Talk, cap: int, period: str = "day", agent_id: UUID | None = None) -> UUID:
    async with database.account(talk.account_id) as conn:
        return (await budgets.put(conn, Cap(agent_id, BudgetPeriod(period), cap))).id


async def seen(database: Database, talk: Talk) -> list[BudgetView]:
    async with database.account(talk.account_id) as conn:
        return await budgets.listing(conn)


async def counted(database: Database, talk: Talk) -> tuple[int, int]:
    """Return (spent, reserved) of the only budget."""
    [view] = await seen(database, talk)
    return view.spent, view.reserved


async def change(database: Database, talk: Talk, statement: str) -> None:
    async with database.account(talk.account_id) as conn:
        await conn.execute(text(statement))


def another(talk: Talk) -> Wanted:
    """Return what opens another turn about the same message."""
    return replace(talk.wanted(), turn_id=uuid4())


class TestReserve:
    async def test_nothing_where_there_is_no_budget(self, database: Database, talk: Talk) -> None:
        opened = await turns.begin(database, talk.account_id, talk.wanted())
        assert (opened.refused, opened.reserved) == (None, None)

    @pytest.mark.parametrize(("cap", "fitting"), [(3 * ONE_CALL, 3), (3 * ONE_CALL + 1, 4), (1, 1), (0, 0)])
    async def test_of_many_at_once_those_that_fit_are_admitted_and_one_more_at_most(
        self, database: Database, talk: Talk, cap: int, fitting: int
    ) -> None:
        await put(database, talk, cap)
        opened = await asyncio.gather(*(turns.begin(database, talk.account_id, another(talk)) for _ in range(50)))
        assert [one.reserved for one in opened if one.refused is None] == [ONE_CALL] * fitting
        assert {one.refused for one in opened} - {None} == {"the budget of the account for the day is used up"}
        assert await counted(database, talk) == (0, fitting * ONE_CALL)

    async def test_a_retry_of_a_step_finds_what_is_reserved(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 1)
        opened = await asyncio.gather(*(turns.begin(database, talk.account_id, talk.wanted()) for _ in range(10)))
        assert {(one.refused, one.reserved) for one in opened} == {(None, ONE_CALL)}
        assert await counted(database, talk) == (0, ONE_CALL)

    async def test_a_stored_step_needs_nothing(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 1)
        for _ in range(2):
            opened = await turns.begin(database, talk.account_id, talk.wanted())
            assert opened.refused is None
            await turns.save_step(database, talk.account_id, talk.turn_id, STEP)
        assert await counted(database, talk) == (7, 0)

    async def test_every_budget_that_applies_must_have_something_left(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 10**6)
        await put(database, talk, 0, "month", talk.tenant.agent_id)
        opened = await turns.begin(database, talk.account_id, talk.wanted())
        assert opened.refused == "the budget of the agent for the month is used up"
        assert [view.reserved for view in await seen(database, talk)] == [0, 0]

    async def test_what_nobody_will_answer_reserves_nothing(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 0)
        await change(database, talk, "UPDATE chat_sessions SET owner = 'human'")
        opened = await turns.begin(database, talk.account_id, talk.wanted())
        assert (opened.skip, opened.refused) == ("a human has the session", None)

    async def test_the_agents_own_limit_is_what_it_may_answer(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 1)
        await change(database, talk, """UPDATE ai_agents SET settings = '{"max_output_tokens": 10}'""")
        assert (await turns.begin(database, talk.account_id, talk.wanted())).reserved == 12

    async def test_a_later_request_of_a_turn_reserves_for_itself_and_its_steps(
        self, database: Database, talk: Talk
    ) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        await turns.save_step(database, talk.account_id, talk.turn_id, STEP)
        opened = await turns.begin(database, talk.account_id, replace(talk.wanted(), step=3))
        assert opened.reserved is not None
        assert opened.reserved > ONE_CALL
        assert await counted(database, talk) == (7, opened.reserved)


class TestPeriods:
    async def test_a_new_period_begins_with_nothing_spent_and_what_is_under_way_stays(
        self, database: Database, talk: Talk
    ) -> None:
        await put(database, talk, 5)
        await turns.begin(database, talk.account_id, talk.wanted())
        await change(
            database, talk, "UPDATE ai_budgets SET spent_tokens = 99, period_started_at = now() - interval '1 day'"
        )
        assert await counted(database, talk) == (0, ONE_CALL)
        opened = await turns.begin(database, talk.account_id, another(talk))
        assert opened.refused is not None
        await turns.save_step(database, talk.account_id, talk.turn_id, STEP)
        assert await counted(database, talk) == (7, 0)

    @pytest.mark.parametrize(("period", "spent"), [("day", 0), ("month", 0), ("total", 99)])
    async def test_end_in_utc_or_never(self, database: Database, talk: Talk, period: str, spent: int) -> None:
        await put(database, talk, 50, period)
        await change(
            database, talk, "UPDATE ai_budgets SET spent_tokens = 99, period_started_at = now() - interval '32 days'"
        )
        [view] = await seen(database, talk)
        assert (view.spent, view.remaining) == (spent, max(50 - spent, 0))
        opened = await turns.begin(database, talk.account_id, talk.wanted())
        assert (opened.refused is None) is (spent == 0)
        if view.resets_at is None:
            assert period == "total"
        else:
            assert (view.resets_at.hour, view.resets_at.minute, view.resets_at > view.created_at) == (0, 0, True)
            assert period == "day" or view.resets_at.day == 1


class TestCharge:
    async def test_replaces_what_was_reserved_by_what_was_used(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        new, _ = await outbound.finish_turn(database, talk.account_id, STEP, talk.reply("hello"))
        again, _ = await outbound.finish_turn(database, talk.account_id, STEP, talk.reply("hello"))
        assert (new, again) == (True, False)
        assert await counted(database, talk) == (7, 0)

    async def test_counts_a_step_once_however_often_it_is_saved(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        await asyncio.gather(*(turns.save_step(database, talk.account_id, talk.turn_id, STEP) for _ in range(5)))
        assert await counted(database, talk) == (7, 0)

    async def test_what_the_provider_did_not_count_costs_what_was_reserved(
        self, database: Database, talk: Talk
    ) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        uncounted = replace(STEP, input_tokens=0, output_tokens=0)
        await turns.save_step(database, talk.account_id, talk.turn_id, uncounted)
        assert await counted(database, talk) == (ONE_CALL, 0)

    async def test_a_request_older_than_its_budget_is_charged_too(self, database: Database, talk: Talk) -> None:
        await turns.begin(database, talk.account_id, talk.wanted())
        await put(database, talk, 10**6)
        await turns.save_step(database, talk.account_id, talk.turn_id, STEP)
        assert await counted(database, talk) == (7, 0)

    async def test_a_tool_costs_nothing(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        tool = StepRow(2, "tool", "calculate", {"tool_call_id": "1"}, {"result": "2", "terminal": False})
        await turns.save_step(database, talk.account_id, talk.turn_id, tool)
        assert await counted(database, talk) == (0, ONE_CALL)


class TestRelease:
    async def test_a_failed_turn_gives_back_and_is_charged_nothing(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        await outbound.record_reply(database, talk.account_id, replace(talk.reply("sorry"), failure="no"))
        assert await counted(database, talk) == (0, 0)

    async def test_a_skipped_turn_gives_back(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        await outbound.record_reply(database, talk.account_id, talk.reply(), skipped="not ours")
        assert await counted(database, talk) == (0, 0)

    async def test_a_superseded_turn_gives_back_and_reserves_no_more(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        async with database.account(talk.account_id) as conn:
            await turns.finish(conn, talk.turn_id, "superseded")
        await turns.begin(database, talk.account_id, talk.wanted())
        assert await counted(database, talk) == (0, 0)
        # Its request ended all the same: what that has cost is charged.
        await turns.save_step(database, talk.account_id, talk.turn_id, STEP)
        assert await counted(database, talk) == (7, 0)

    async def test_what_a_dead_turn_holds_is_found_after_an_hour(self, database: Database, talk: Talk) -> None:
        await put(database, talk, 10**6)
        await turns.begin(database, talk.account_id, talk.wanted())
        fresh = another(talk)
        await turns.begin(database, talk.account_id, fresh)
        await change(
            database,
            talk,
            "UPDATE budget_reservations SET created_at = now() - interval '61 minutes'"
            f" WHERE turn_id = '{talk.turn_id}'",
        )
        async with database.open() as conn:
            assert (await budgets.stale(conn)) == [(talk.account_id, talk.turn_id)]
        for _ in range(2):
            await budgets.release(database, talk.account_id, talk.turn_id)
        assert await counted(database, talk) == (0, ONE_CALL)

    async def test_a_lifted_budget_is_no_hindrance(self, database: Database, talk: Talk) -> None:
        budget_id = await put(database, talk, 10**6)
        await put(database, talk, 10**6, "total")
        await turns.begin(database, talk.account_id, talk.wanted())
        async with database.account(talk.account_id) as conn:
            await budgets.remove(conn, budget_id)
        await turns.save_step(database, talk.account_id, talk.turn_id, STEP)
        assert await counted(database, talk) == (7, 0)


class TestTogether:
    async def test_turns_that_end_in_every_way_at_once_neither_block_nor_miscount(
        self, database: Database, talk: Talk
    ) -> None:
        await put(database, talk, 10**6)
        await put(database, talk, 10**6, "month", talk.tenant.agent_id)

        async def run(number: int) -> None:
            mine = replace(talk, turn_id=uuid4())
            await turns.begin(database, talk.account_id, mine.wanted())
            if number % 3 == 0:
                await outbound.finish_turn(database, talk.account_id, STEP, mine.reply("hello"))
            elif number % 3 == 1:
                failed = replace(mine.reply("sorry"), failure="no")
                await outbound.record_reply(database, talk.account_id, failed)
            else:
                async with database.account(talk.account_id) as conn:
                    await turns.finish(conn, mine.turn_id, "superseded")

        await asyncio.gather(*(run(number) for number in range(30)))
        assert [(view.spent, view.reserved) for view in await seen(database, talk)] == [(70, 0), (70, 0)]


class TestWalls:
    async def test_another_accounts_agent_cannot_be_given_a_budget(
        self, database: Database, database_urls: DatabaseUrls, talk: Talk
    ) -> None:
        foreign = await make_tenant(database_urls.owner)
        with pytest.raises(NotFoundError):
            await put(database, talk, 1, agent_id=foreign.agent_id)

    async def test_another_accounts_budget_counts_nothing_here(
        self, database: Database, database_urls: DatabaseUrls, talk: Talk
    ) -> None:
        foreign = await make_tenant(database_urls.owner)
        async with database.account(foreign.account_id) as conn:
            await budgets.put(conn, Cap(None, BudgetPeriod.TOTAL, 0))
        opened = await turns.begin(database, talk.account_id, talk.wanted())
        assert (opened.refused, opened.reserved) == (None, None)
