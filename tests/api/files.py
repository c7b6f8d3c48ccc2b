"""Files on messages, as a fetch leaves them, for tests of the api."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from uuid import UUID, uuid4

from fastapi import FastAPI
from sqlalchemy import text

from api.services import Services
from db import attachments
from db.attachments import Ending
from domain.files import AttachmentState
from tests.api.conftest import Person


async def attach(app: FastAPI, person: Person, message_id: UUID) -> UUID:
    """Give a message a file that waits for its fetch; returns the file's id."""
    services: Services = app.state.services
    made = uuid4()
    async with services.db.account(person.tenant.account_id) as conn:
        await conn.execute(
            text(
                "INSERT INTO chat_message_attachments (id, account_id, message_id, position, attachment_type, mime_type,"
                " filename, platform_file_id, file_size) SELECT :id, app_account(), :message_id, count(*), 'document',"
                " 'application/pdf', 'bill.pdf', 'remote-1', 99 FROM chat_message_attachments WHERE message_id = :message_id"
            ),
            {"id": made, "message_id": message_id},
        )
    return made


async def settle(app: FastAPI, person: Person, attachment_id: UUID, ending: Ending) -> None:
    """Write how a file ended, as its fetch does."""
    services: Services = app.state.services
    account_id = person.tenant.account_id
    async with services.db.account(account_id) as conn:
        await attachments.settle(conn, account_id, await attachments.load(conn, attachment_id), ending)


async def store(
    app: FastAPI, person: Person, attachment_id: UUID, content: bytes, name: str, mime_type: str = "application/pdf"
) -> str:
    """Keep a file's bytes and settle it; returns the hash."""

    async def once() -> AsyncGenerator[bytes]:
        yield content

    services: Services = app.state.services
    kept = await services.files.put(person.tenant.account_id, once(), limit_bytes=1 << 20)
    ending = Ending(
        AttachmentState.STORED,
        mime_type=mime_type,
        filename=name,
        file_size=kept.size_bytes,
        content_hash=kept.digest,
        storage_key=kept.key,
        metadata={"width": 640, "height": 480} if mime_type.startswith("image/") else {},
        scanned=True,
    )
    await settle(app, person, attachment_id, ending)
    return kept.digest
