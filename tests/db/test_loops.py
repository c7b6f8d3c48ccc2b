"""Bots that answer each other stop at a cap, counted where messages are stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from db.session import Database
from domain.message import InboundEvent, Sender
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record, rows
from tests.tenants import Tenant, Wish, inbound, make_tenant


@pytest.fixture
async def tenant(database_urls: DatabaseUrls) -> Tenant:
    return await make_tenant(database_urls.owner, Wish(configuration={"answer_bots": True}))


def from_bot(number: int, chat: str = "c1") -> InboundEvent:
    return replace(inbound(number, chat=chat), sender=Sender("b", "Bot", is_bot=True))


async def states(database: Database, tenant: Tenant) -> list[Any]:
    found = await rows(database, tenant, "SELECT state, reason FROM inbound_events ORDER BY created_at, dedup_key")
    return [row.state for row in found]


class TestCap:
    async def test_three_turns_and_no_more_said_with_the_reason(self, database: Database, tenant: Tenant) -> None:
        for number in range(5):
            await record(database, tenant, [from_bot(number)])
        assert await states(database, tenant) == ["recorded"] * 3 + ["ignored"] * 2
        [reason] = await rows(database, tenant, "SELECT DISTINCT reason FROM inbound_events WHERE state = 'ignored'")
        assert "3 turns" in reason[0]
        assert len(await rows(database, tenant, "SELECT 1 FROM chat_messages")) == 3
        assert len(await rows(database, tenant, "SELECT 1 FROM outbox WHERE name = 'message_received'")) == 3

    async def test_the_channel_says_how_many(self, database: Database, database_urls: DatabaseUrls) -> None:
        tenant = await make_tenant(database_urls.owner, Wish(configuration={"answer_bots": True, "bot_turn_cap": 1}))
        for number in range(3):
            await record(database, tenant, [from_bot(number)])
        assert await states(database, tenant) == ["recorded", "ignored", "ignored"]

    async def test_a_persons_word_begins_anew(self, database: Database, tenant: Tenant) -> None:
        for number in (1, 2, 3):
            await record(database, tenant, [from_bot(number)])
        await record(database, tenant, [inbound(4)])
        for number in (5, 6, 7, 8):
            await record(database, tenant, [from_bot(number)])
        assert await states(database, tenant) == ["recorded"] * 7 + ["ignored"]

    async def test_so_does_an_hour_without_a_bot(self, database: Database, tenant: Tenant) -> None:
        for number in (1, 2, 3):
            await record(database, tenant, [from_bot(number)])
        await rows(
            database, tenant, "UPDATE chat_messages SET created_at = created_at - interval '61 minutes' RETURNING 1"
        )
        await record(database, tenant, [from_bot(4)])
        assert await states(database, tenant) == ["recorded"] * 4

    async def test_each_conversation_has_its_own(self, database: Database, tenant: Tenant) -> None:
        for number in range(3):
            await record(database, tenant, [from_bot(number), from_bot(number, chat="c2")])
        assert await states(database, tenant) == ["recorded"] * 6

    async def test_of_many_at_once_no_more_than_the_cap(self, database: Database, tenant: Tenant) -> None:
        await asyncio.gather(*(record(database, tenant, [from_bot(number)]) for number in range(10)))
        assert sorted(await states(database, tenant)) == ["ignored"] * 7 + ["recorded"] * 3

    async def test_many_in_one_delivery_count_one_by_one(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [from_bot(number) for number in range(5)])
        assert sorted(await states(database, tenant)) == ["ignored"] * 2 + ["recorded"] * 3

    async def test_people_are_never_capped(self, database: Database, tenant: Tenant) -> None:
        for number in range(6):
            await record(database, tenant, [inbound(number)])
        assert await states(database, tenant) == ["recorded"] * 6
