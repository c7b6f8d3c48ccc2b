"""People whom a platform knows by several names: one person keeps one conversation, and nobody gets another's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db.session import Database
from domain.message import EventKind, InboundEvent, Sender
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record, rows
from tests.tenants import Tenant, inbound, make_tenant

SESSIONS = "SELECT session_key, last_arrival_no, platform_user_id, version FROM chat_sessions ORDER BY created_at"


@pytest.fixture
async def tenant(database_urls: DatabaseUrls) -> Tenant:
    return await make_tenant(database_urls.owner)


def said(number: int, *names: str, person: str | None = None) -> InboundEvent:
    """Return a message of somebody known by these names; the first is the one that the adapter took."""
    own = person or next((name for name in names if name.startswith("US.")), None)
    message = replace(inbound(number, chat=names[0]), dedup_key=f"m{number}", known_as=names, person=own)
    return replace(message, sender=Sender(names[0], "Alice"))


def moved(number: int, old: str, new: str) -> InboundEvent:
    told = inbound(number, chat=old, kind=EventKind.IDENTITY)
    return replace(told, ignored="identity", metadata={"moved_from": old, "moved_to": new})


async def keys(database: Database, tenant: Tenant) -> list[tuple[str, int]]:
    return [(row.session_key, row.last_arrival_no) for row in await rows(database, tenant, SESSIONS)]


class TestEdit:
    async def test_one_by_who_hides_their_number_since_finds_its_message(
        self, database: Database, tenant: Tenant
    ) -> None:
        first = said(1, "491", "US.1")
        await record(database, tenant, [first])
        for number, (name, words) in enumerate([("US.2", "not mine"), ("US.1", "better")], start=2):
            edit = replace(said(number, name), kind=EventKind.EDIT, text=words, target_message_id=first.message_id)
            await record(database, tenant, [edit])
        found = await rows(database, tenant, "SELECT content FROM chat_messages")
        assert [row.content for row in found] == ["better"]
        states = await rows(
            database, tenant, "SELECT reason FROM inbound_events WHERE kind = 'edit' ORDER BY dedup_key"
        )
        assert [row.reason for row in states] == ["the original is not known", None]


class TestNames:
    async def test_who_hides_their_number_goes_on_in_the_same_session(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [said(1, "491", "US.1")])
        await record(database, tenant, [said(2, "US.1")])
        await record(database, tenant, [said(3, "491", "US.1")])
        assert await keys(database, tenant) == [("491", 3)]

    async def test_who_shows_their_number_later_too(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [said(1, "US.1")])
        await record(database, tenant, [said(2, "491", "US.1")])
        await record(database, tenant, [said(3, "491")])
        assert await keys(database, tenant) == [("US.1", 3)]

    async def test_a_session_from_before_user_ids_goes_on(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [said(1, "491")])
        await record(database, tenant, [said(2, "491", "US.1")])
        await record(database, tenant, [said(3, "US.1")])
        assert await keys(database, tenant) == [("491", 3)]

    async def test_a_number_that_got_a_new_owner_shows_nobody_the_old_ones_words(
        self, database: Database, tenant: Tenant
    ) -> None:
        await record(database, tenant, [said(1, "491", "US.1")])
        await record(database, tenant, [said(2, "491", "US.2")])
        await record(database, tenant, [said(3, "US.2"), said(4, "US.1")])
        assert await keys(database, tenant) == [("491", 2), ("US.2", 2)]

    async def test_also_where_the_old_one_was_first_known_by_their_id(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [said(1, "US.1")])
        await record(database, tenant, [said(2, "491", "US.1")])
        await record(database, tenant, [said(3, "491", "US.2")])
        await record(database, tenant, [said(4, "491", "US.2")])
        await record(database, tenant, [said(5, "492", "US.1")])
        assert await keys(database, tenant) == [("US.1", 3), ("491", 2)]

    async def test_a_block_holds_under_every_name(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [said(1, "491", "US.1")])
        block = "INSERT INTO chat_blacklists (id, account_id, platform_user_id, block_type) VALUES"
        await rows(
            database, tenant, f"{block} (gen_random_uuid(), '{tenant.account_id}', '491', 'permanent') RETURNING 1"
        )
        await record(database, tenant, [said(2, "US.1")])
        await record(database, tenant, [said(3, "US.1"), said(4, "US.9")])
        assert await keys(database, tenant) == [("491", 1), ("US.9", 1)]

    async def test_names_of_another_channel_say_nothing(
        self, database: Database, database_urls: DatabaseUrls, tenant: Tenant
    ) -> None:
        other = await make_tenant(database_urls.owner)
        await record(database, other, [said(1, "491", "US.1")])
        await record(database, tenant, [said(1, "US.1")])
        assert await keys(database, tenant) == [("US.1", 1)]


class TestMoves:
    async def test_a_new_number_keeps_session_names_and_block(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [said(1, "491", "US.1")])
        block = "INSERT INTO chat_blacklists (id, account_id, platform_user_id, block_type) VALUES"
        await rows(
            database, tenant, f"{block} (gen_random_uuid(), '{tenant.account_id}', '491', 'permanent') RETURNING 1"
        )
        await record(database, tenant, [moved(2, "491", "492")])
        [session] = await rows(database, tenant, SESSIONS)
        assert (session.session_key, session.platform_user_id, session.version) == ("492", "492", 2)
        [blocked] = await rows(database, tenant, "SELECT platform_user_id FROM chat_blacklists")
        assert blocked.platform_user_id == "492"
        [address] = await rows(database, tenant, "SELECT reply_to ->> 'chat' AS chat FROM chat_messages")
        assert address.chat == "492"

    async def test_readers_are_told(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [said(1, "491", "US.1")])
        done = await record(database, tenant, [moved(2, "491", "492")])
        assert done is not None
        assert len(done.aggregates) == 1
        query = "SELECT data FROM outbox WHERE name = 'SessionUpdated' ORDER BY id DESC LIMIT 1"
        [told] = await rows(database, tenant, query)
        [seen] = await rows(database, tenant, "SELECT flow.session_view(s) AS view FROM chat_sessions s")
        assert told.data["session"] == seen.view

    async def test_the_old_number_is_free_for_somebody_else(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [said(1, "491", "US.1")])
        await record(database, tenant, [moved(2, "491", "492"), moved(3, "US.1", "US.11")])
        await record(database, tenant, [said(4, "491", "US.2")])
        await record(database, tenant, [said(5, "US.11")])
        await record(database, tenant, [said(6, "492", "US.11")])
        assert await keys(database, tenant) == [("492", 3), ("491", 1)]
