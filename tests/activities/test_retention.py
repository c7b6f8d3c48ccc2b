"""Files go after their time: rows first, bytes when nothing names them any more, whoever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from activities.dispatch import Dispatcher
from activities.files import FileStore, Folder, NoSuchFileError, file_store
from activities.retention import Retention
from db import attachments, garbage, uploads
from db.operator_messages import record_operator_message
from db.outgoing import Outgoing, Part
from db.session import Database
from db.uploads import Upload
from domain.outbound import FilePart
from realtime.publish import Publisher
from tests.conftest import DatabaseUrls
from tests.db.test_ingest import record, rows
from tests.tenants import Tenant, inbound, make_tenant

CONTENT = b"the same for all"


async def one(content: bytes) -> AsyncGenerator[bytes]:
    yield content


@dataclass
class Shelf:
    """An account's files, and what looks after them."""

    database: Database
    tenant: Tenant
    files: FileStore
    retention: Retention
    session_id: UUID
    message_id: UUID
    folder: Path

    async def upload(self, content: bytes = CONTENT) -> str:
        kept = await self.files.put(self.tenant.account_id, one(content), limit_bytes=1_000)
        async with self.database.account(self.tenant.account_id) as conn:
            made = Upload(uuid4(), "a.txt", "text/plain", kept.size_bytes, kept.digest)
            await uploads.add(conn, self.session_id, None, made)
        return kept.digest

    async def attach(self, digest: str) -> None:
        await self.run(
            "INSERT INTO chat_message_attachments (id, account_id, message_id, position, attachment_type, state,"
            f" content_hash, settled_at) VALUES (gen_random_uuid(), app_account(), '{self.message_id}', 0, 'document',"
            f" 'stored', '{digest}', now()) RETURNING id"
        )

    async def send(self, digest: str) -> None:
        """Let an operator send it."""
        [upload] = await rows(self.database, self.tenant, "SELECT id, file_size FROM chat_uploads")
        file = FilePart(
            type="document",
            upload_id=upload.id,
            digest=digest,
            mime_type="text/plain",
            filename="a.txt",
            size_bytes=upload.file_size,
        )
        out = Outgoing(self.session_id, "", [Part("", "", file)], "t" * 16)
        async with self.database.account(self.tenant.account_id) as conn:
            await record_operator_message(conn, self.tenant.account_id, out)

    async def run(self, query: str) -> None:
        await rows(self.database, self.tenant, query)

    async def later(self, hours: int) -> None:
        """Let time pass for all that has a time."""
        for table, column in (
            ("chat_uploads", "created_at"),
            ("chat_message_attachments", "settled_at"),
            ("file_garbage", "due_at"),
        ):
            await self.run(f"UPDATE {table} SET {column} = {column} - interval '{hours} hours' RETURNING 1")

    async def collected(self) -> None:
        await self.retention.forget_uploads()
        await self.retention.expire()
        await self.later(2)
        await self.retention.collect()

    async def is_there(self, digest: str) -> bool:
        try:
            chunks = await self.files.open(self.tenant.account_id, digest)
        except NoSuchFileError:
            return False
        return b"".join([chunk async for chunk in chunks]) == CONTENT


@pytest.fixture
async def shelf(database: Database, database_urls: DatabaseUrls, redis: Redis, tmp_path: Path) -> Shelf:
    tenant = await make_tenant(database_urls.owner)
    await record(database, tenant, [inbound(1)])
    [message] = await rows(database, tenant, "SELECT id, session_id FROM chat_messages")
    files = file_store(tmp_path)
    dispatcher = Dispatcher(database, lambda: None, Publisher(redis), task_queue="any")
    retention = Retention(database, files, dispatcher)
    return Shelf(database, tenant, files, retention, message.session_id, message.id, tmp_path)


class TestUploads:
    async def test_one_that_no_message_names_goes_after_a_day_with_its_bytes(self, shelf: Shelf) -> None:
        digest = await shelf.upload()
        await shelf.later(23)
        await shelf.collected()
        assert await shelf.is_there(digest)
        await shelf.collected()
        assert not await shelf.is_there(digest)
        for table in ("chat_uploads", "file_garbage"):
            assert await rows(shelf.database, shelf.tenant, f"SELECT 1 FROM {table}") == []

    async def test_one_that_was_sent_stays(self, shelf: Shelf) -> None:
        digest = await shelf.upload()
        await shelf.run("UPDATE chat_messages SET direction = 'outbound', arrival_no = NULL RETURNING 1")
        await shelf.attach(digest)
        await shelf.later(100)
        await shelf.collected()
        assert await rows(shelf.database, shelf.tenant, "SELECT 1 FROM chat_uploads") != []
        assert await shelf.is_there(digest)

    async def test_the_bytes_stay_while_a_message_has_the_same(self, shelf: Shelf) -> None:
        digest = await shelf.upload()
        await shelf.attach(digest)
        await shelf.later(25)
        await shelf.collected()
        assert await rows(shelf.database, shelf.tenant, "SELECT 1 FROM chat_uploads") == []
        assert await shelf.is_there(digest)


class TestOld:
    async def test_nothing_goes_where_no_time_is_set(self, shelf: Shelf) -> None:
        digest = await shelf.upload()
        await shelf.attach(digest)
        await shelf.later(24 * 4_000)
        await shelf.collected()
        assert await shelf.is_there(digest)

    async def test_an_old_file_goes_and_its_message_says_so(self, shelf: Shelf) -> None:
        shelf.retention.files_keep = timedelta(days=30)
        digest = await shelf.upload()
        await shelf.attach(digest)
        await shelf.later(24 * 29)
        await shelf.collected()
        assert await shelf.is_there(digest)
        await shelf.later(24)
        await shelf.collected()
        assert not await shelf.is_there(digest)
        async with shelf.database.account(shelf.tenant.account_id) as conn:
            assert await attachments.notes(conn, shelf.message_id) == "[document was deleted: kept for 30 days]"

    async def test_an_upload_that_was_sent_goes_with_its_message_s_file(self, shelf: Shelf) -> None:
        shelf.retention.files_keep = timedelta(days=30)
        digest = await shelf.upload()
        await shelf.send(digest)
        await shelf.later(24 * 29)
        await shelf.collected()
        assert await shelf.is_there(digest)
        await shelf.later(24)
        await shelf.collected()
        await shelf.collected()
        assert await rows(shelf.database, shelf.tenant, "SELECT 1 FROM chat_uploads") == []
        assert not await shelf.is_there(digest)

    async def test_a_deleted_message_leaves_no_file(self, shelf: Shelf) -> None:
        digest = await shelf.upload()
        await shelf.attach(digest)
        await shelf.run("DELETE FROM chat_uploads RETURNING 1")
        await shelf.run("DELETE FROM chat_message_attachments RETURNING 1")
        await shelf.collected()
        assert not await shelf.is_there(digest)


class TestKeepers:
    async def test_one_who_is_about_to_keep_the_same_is_waited_for(self, shelf: Shelf) -> None:
        digest = await shelf.upload()
        await shelf.later(25)
        await shelf.retention.forget_uploads()
        await shelf.later(2)
        async with shelf.database.account(shelf.tenant.account_id) as conn:
            await garbage.spare(conn, digest)
        assert await shelf.retention.collect() == 0
        assert await shelf.is_there(digest)

    async def test_one_who_comes_while_the_bytes_are_deleted_keeps_them_anew(self, shelf: Shelf) -> None:
        digest = await shelf.upload()
        await shelf.later(25)
        await shelf.retention.forget_uploads()
        await shelf.later(2)
        deleting, go_on = asyncio.Event(), asyncio.Event()
        delete = shelf.files.delete

        class Slow(FileStore):
            async def delete(self, account_id: UUID, digest: str) -> None:
                deleting.set()
                await go_on.wait()
                await delete(account_id, digest)

        shelf.retention.files = Slow(Folder(shelf.folder))
        collecting = asyncio.create_task(shelf.retention.collect())
        await deleting.wait()

        async def keep() -> None:
            async with shelf.database.account(shelf.tenant.account_id) as conn:
                await garbage.spare(conn, digest)
            await shelf.upload()

        keeping = asyncio.create_task(keep())
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(30):
            while (await rows(shelf.database, shelf.tenant, waiting))[0][0] == 0:
                await asyncio.sleep(0.02)
        go_on.set()
        assert await collecting == 1
        await keeping
        assert await shelf.is_there(digest)

    async def test_a_store_that_fails_is_tried_again(self, shelf: Shelf) -> None:
        digest = await shelf.upload()
        await shelf.later(25)
        await shelf.retention.forget_uploads()
        await shelf.later(2)

        class Broken(FileStore):
            async def delete(self, account_id: UUID, digest: str) -> None:
                raise OSError

        working, shelf.retention.files = shelf.retention.files, Broken(Folder(shelf.folder))
        assert await shelf.retention.collect() == 0
        shelf.retention.files = working
        assert await shelf.retention.collect() == 1
        assert not await shelf.is_there(digest)
