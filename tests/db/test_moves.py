"""A group that got another name at its platform: who talked there before goes on in the same session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db.session import Database
from domain.message import EventKind, InboundEvent
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record, rows
from tests.tenants import Tenant, inbound, make_tenant

SESSIONS = "SELECT id, session_key, last_arrival_no FROM chat_sessions ORDER BY session_key"


@pytest.fixture
async def tenant(database_urls: DatabaseUrls) -> Tenant:
    return await make_tenant(database_urls.owner)


def moved(number: int, chat: str) -> InboundEvent:
    """Return the service message in the old or the new place."""
    told = inbound(number, chat=chat, kind=EventKind.SYSTEM)
    return replace(told, ignored="a service message", metadata={"moved_from": "old", "moved_to": "new"})


class TestMoveSession:
    async def test_the_session_goes_on_whichever_side_says_it_and_twice_is_harmless(
        self, database: Database, tenant: Tenant
    ) -> None:
        await record(database, tenant, [inbound(1, chat="old")])
        [before] = await rows(database, tenant, SESSIONS)
        await record(database, tenant, [moved(1, "new")])
        await record(database, tenant, [moved(2, "old")])
        [address] = await rows(database, tenant, "SELECT reply_to FROM chat_messages")
        assert address.reply_to == {"chat": "new", "thread": None, "message": None}
        await record(database, tenant, [inbound(2, chat="new")])
        [after] = await rows(database, tenant, SESSIONS)
        assert (after.id, after.session_key, after.last_arrival_no) == (before.id, "new", 2)

    async def test_what_began_in_the_new_place_before_stays_apart(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [inbound(1, chat="old"), inbound(2, chat="new")])
        before = await rows(database, tenant, SESSIONS)
        await record(database, tenant, [moved(3, "old")])
        assert await rows(database, tenant, SESSIONS) == before

    async def test_another_channels_session_of_the_same_name_is_left_alone(
        self, database: Database, database_urls: DatabaseUrls, tenant: Tenant
    ) -> None:
        other = await make_tenant(database_urls.owner)
        await record(database, other, [inbound(1, chat="old")])
        await record(database, tenant, [moved(1, "old")])
        assert [row.session_key for row in await rows(database, other, SESSIONS)] == ["old"]
