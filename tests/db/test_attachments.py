"""Files of messages in Postgres: stored with their message, settled once, told to readers and to the agent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import text

from db import attachments, deferred, sessions, turns
from db.attachments import AlreadySettledError, AttachmentRow, Ending
from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, mapping, message_view
from db.session import Database
from db.turns import Wanted
from domain.errors import NotFoundError
from domain.files import AttachmentState, formatted_size
from domain.message import Attachment, InboundEvent, MessageType
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import leave, record, rows
from tests.tenants import Tenant, inbound, make_tenant

PHOTO = Attachment(MessageType.IMAGE, "remote-1", "Image/PNG; q=1", "a\u202eb/c.png", 2_048)
VOICE = Attachment(MessageType.AUDIO, "remote-2", "audio/ogg")
DIGEST = "ab" * 32


def with_files(number: int, said: str, *files: Attachment) -> InboundEvent:
    return replace(inbound(number, said=said), attachments=files)


def stored(**more: object) -> Ending:
    values: dict[str, object] = {"content_hash": DIGEST, "storage_key": "k", "scanned": True} | more
    return replace(Ending(AttachmentState.STORED), **values)  # pyright: ignore[reportArgumentType]


@pytest.fixture
async def tenant(database_urls: DatabaseUrls) -> Tenant:
    return await make_tenant(database_urls.owner)


async def files_of(database: Database, tenant: Tenant) -> list[AttachmentRow]:
    async with database.account(tenant.account_id) as conn:
        found = await conn.execute(text("SELECT id FROM chat_message_attachments ORDER BY created_at, position"))
        return [await attachments.load(conn, row.id) for row in found.all()]


async def settle(database: Database, tenant: Tenant, row: AttachmentRow, ending: Ending) -> None:
    async with database.account(tenant.account_id) as conn:
        await attachments.settle(conn, tenant.account_id, row, ending)


class TestArrival:
    async def test_files_wait_with_their_message_and_their_fetch_leaves_after_its_word(
        self, database: Database, tenant: Tenant
    ) -> None:
        await record(database, tenant, [with_files(1, "[photo]", PHOTO, VOICE)])
        photo, voice = await files_of(database, tenant)
        assert (photo.attachment_type, photo.mime_type, photo.filename) == ("image", "image/png", "c.png")
        assert (photo.platform_file_id, photo.file_size, photo.state) == ("remote-1", 2_048, "waiting")
        assert (voice.attachment_type, voice.filename, voice.file_size) == ("audio", None, None)
        left = await leave(database, tenant)
        assert [row.name for row in left[:2]] == ["message_received", "media_wanted"]
        assert orjson.loads(left[0].data)["files"] is True
        assert orjson.loads(left[1].data)["message_id"] == str(photo.message_id)
        # One of them is the outbox's own row, by which all of them are deleted; each has an id of its own.
        assert [row.id > 0 for row in left] == [True] + [False] * 5
        assert len({row.id for row in left}) == 6
        assert await rows(database, tenant, "SELECT 1 FROM outbox") == []

    async def test_late_and_deferred_files_are_fetched_and_wake_nobody(
        self, database: Database, tenant: Tenant
    ) -> None:
        until = datetime.now(UTC) + timedelta(minutes=1)
        for event, waits in (
            (replace(with_files(1, "[photo]", PHOTO), late=True), None),
            (with_files(2, "x", PHOTO), until),
        ):
            await record(database, tenant, [event], until=waits)
            left = await leave(database, tenant)
            assert [row.name for row in left if row.kind == "signal"] == ["media_wanted"]
            assert [row.name for row in left if row.id > 0] == ["ChatMessageCreated"]

    async def test_files_that_settled_before_the_arrival_left_are_not_asked_for(
        self, database: Database, tenant: Tenant
    ) -> None:
        await record(database, tenant, [with_files(1, "[photo]", PHOTO)])
        [photo] = await files_of(database, tenant)
        await settle(database, tenant, photo, stored())
        signals = [row for row in await leave(database, tenant) if row.kind == "signal"]
        assert [(row.name, orjson.loads(row.data)["files"]) for row in signals] == [("message_received", False)]

    @pytest.mark.parametrize(
        ("said", "waits"),
        [("[photo]", True), ("[file: a.txt], [file: b.txt]", True), ("Look!", False), ("[a]\nb", False)],
    )
    async def test_only_a_message_without_words_waits(
        self, database: Database, tenant: Tenant, said: str, waits: bool
    ) -> None:
        await record(database, tenant, [with_files(1, said, PHOTO)])
        [photo] = await files_of(database, tenant)
        left = await leave(database, tenant)
        assert orjson.loads(left[0].data)["files"] is waits
        async with database.account(tenant.account_id) as conn:
            plan = await sessions.load_plan(conn, photo.session_id, defaults=sessions.DEFAULT_TIMES)
        assert plan is not None
        assert plan.waiting[0].files is waits
        await settle(database, tenant, photo, stored())
        async with database.account(tenant.account_id) as conn:
            plan = await sessions.load_plan(conn, photo.session_id, defaults=sessions.DEFAULT_TIMES)
        assert plan is not None
        assert plan.waiting[0].files is False

    async def test_a_blocked_senders_files_are_not_fetched(self, database: Database, tenant: Tenant) -> None:
        insert = "INSERT INTO chat_blacklists (id, account_id, platform_user_id, block_type)"
        await rows(
            database, tenant, f"{insert} SELECT gen_random_uuid(), app_account(), 'user-c1', 'permanent' RETURNING id"
        )
        await record(database, tenant, [with_files(1, "[photo]", PHOTO)])
        [photo] = await files_of(database, tenant)
        assert photo.state == "refused"
        assert [row for row in await leave(database, tenant) if row.kind == "signal"] == []


class TestSettle:
    async def test_once(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [with_files(1, "[photo]", PHOTO)])
        [photo] = await files_of(database, tenant)
        tries = [settle(database, tenant, photo, stored(filename=f"{number}.png")) for number in range(8)]
        ended = await asyncio.gather(*tries, return_exceptions=True)
        assert sorted(type(one).__name__ for one in ended) == ["AlreadySettledError"] * 7 + ["NoneType"]
        told = await rows(database, tenant, "SELECT data FROM outbox WHERE name = 'ChatMessageStatus'")
        assert len(told) == 1
        assert told[0].data["message"]["attachments"][0]["state"] == "stored"

    async def test_the_view_is_one_in_events_and_reads(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [with_files(1, "[photo]", PHOTO, VOICE, VOICE)])
        photo, voice, other = await files_of(database, tenant)
        await settle(database, tenant, photo, stored(metadata={"width": 3, "height": 4}, file_size=1_500_000))
        await settle(database, tenant, voice, stored(metadata={"duration": 1.5}))
        await settle(database, tenant, other, Ending(AttachmentState.REFUSED, "malware", scanned=True, malware=True))
        async with database.account(tenant.account_id) as conn:
            query = text(f"SELECT {MESSAGE_COLUMNS}, flow.message_view(m) AS theirs FROM chat_messages m")
            row = (await conn.execute(query.columns(**MESSAGE_TYPES))).one()
        assert row.theirs == message_view(mapping(row)).model_dump(mode="json")
        assert [one["safe"] for one in row.theirs["attachments"]] == [True, True, False]

    async def test_sizes_are_spelled_alike(self, database: Database, tenant: Tenant) -> None:
        sizes = [0, 1, 1023, 1024, 1535, 1536, 51_200, 1_048_575, 1_048_576, 26_214_400, 1 << 30, 5 << 40]
        for size in sizes:
            [row] = await rows(database, tenant, f"SELECT flow.formatted_size({size}::bigint) AS said")
            assert row.said == formatted_size(size)

    async def test_a_foreign_account_finds_nothing(
        self, database: Database, tenant: Tenant, database_urls: DatabaseUrls
    ) -> None:
        await record(database, tenant, [with_files(1, "[photo]", PHOTO)])
        [photo] = await files_of(database, tenant)
        foreign = await make_tenant(database_urls.owner)
        async with database.account(foreign.account_id) as conn:
            for wrong in (photo.id, uuid4()):
                with pytest.raises(NotFoundError):
                    await attachments.load(conn, wrong)
                with pytest.raises(NotFoundError):
                    await attachments.details(conn, wrong)
            assert await attachments.waiting(conn, photo.message_id) == []


class TestAgent:
    async def _shown(self, database: Database, tenant: Tenant, message_id: UUID, session_id: UUID) -> str:
        wanted = Wanted(uuid4(), session_id, [message_id], "trace-1", 1, with_steps=False)
        opened = await turns.begin(database, tenant.account_id, wanted)
        return opened.said[-1][1]

    async def test_is_told_what_became_of_the_files(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [with_files(1, "Look!", PHOTO, VOICE, VOICE)])
        photo, voice, other = await files_of(database, tenant)
        assert await self._shown(database, tenant, photo.message_id, photo.session_id) == "Look!"
        await settle(database, tenant, photo, stored(file_size=2_048))
        await settle(database, tenant, voice, Ending(AttachmentState.REFUSED, "too large"))
        assert await self._shown(database, tenant, photo.message_id, photo.session_id) == (
            'Look!\n[image "c.png", image/png, 2.0 KB]\n[audio was not taken: too large]\n[audio is still being fetched]'
        )
        await settle(database, tenant, other, stored(file_size=10))
        async with database.account(tenant.account_id) as conn:
            await attachments.transcribed(conn, tenant.account_id, other, "Good morning")
        shown = await self._shown(database, tenant, photo.message_id, photo.session_id)
        assert shown.endswith("[audio, audio/ogg, 10 B, transcribed: Good morning]")
        assert shown.startswith("Look!\n")

    async def test_a_voice_message_becomes_its_words(self, database: Database, tenant: Tenant) -> None:
        await record(database, tenant, [with_files(1, "[voice message]", VOICE)])
        [voice] = await files_of(database, tenant)
        await settle(database, tenant, voice, stored(file_size=10))
        async with database.account(tenant.account_id) as conn:
            await attachments.transcribed(conn, tenant.account_id, voice, " Hi [SYSTEM]\x00 ")
        with pytest.raises(AlreadySettledError):
            async with database.account(tenant.account_id) as conn:
                await attachments.transcribed(conn, tenant.account_id, voice, "other")
        [row] = await rows(database, tenant, "SELECT content, sanitized_content FROM chat_messages")
        assert row.content == "[voice message]\nHi [SYSTEM]"
        assert row.sanitized_content == "[USER_MESSAGE_START]\n[voice message]\nHi\n[USER_MESSAGE_END]"
        shown = await self._shown(database, tenant, voice.message_id, voice.session_id)
        assert shown == "[voice message]\nHi [SYSTEM]\n[audio, audio/ogg, 10 B]"
        [twin] = await rows(database, tenant, "SELECT data FROM outbox WHERE name = 'MessageUpdated'")
        assert twin.data["message"]["content"] == row.content

    async def test_files_of_a_deferred_message_are_not_forgotten(self, database: Database, tenant: Tenant) -> None:
        until = datetime.now(UTC) + timedelta(minutes=1)
        await record(database, tenant, [with_files(1, "[photo]", PHOTO)], until=until)
        [photo] = await files_of(database, tenant)
        await settle(database, tenant, photo, stored(file_size=5))
        async with database.account(tenant.account_id) as conn:
            assert await deferred.release(conn, tenant.account_id, photo.message_id) is not None
        told = [row for row in await leave(database, tenant) if row.name == "message_received"]
        assert [orjson.loads(row.data)["files"] for row in told] == [False]
        shown = await self._shown(database, tenant, photo.message_id, photo.session_id)
        assert shown == '[photo]\n[image "c.png", image/png, 5 B]'
