"""Which files nothing names any more. A file is kept once for all that have the same content, so the last one to let go of it
must be told from the others: each leaves a note (triggers, migration 0015), and an hour later it is looked who is left.

Who is about to keep a file (`spare`) puts its note off first. The note's row is locked while the bytes are deleted, so a keeper
either waits and keeps them anew, or is seen. Called by activities/retention.py and by those who keep files.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SPARE: Final = text("UPDATE file_garbage SET due_at = now() + interval '1 hour' WHERE digest = :digest")
_DUE: Final = text("SELECT account_id, digest FROM garbage_files(:at_most)")
_TAKE: Final = text("SELECT digest FROM file_garbage WHERE digest = :digest AND due_at < now() FOR UPDATE SKIP LOCKED")
_NAMED: Final = text(
    """
    SELECT EXISTS (SELECT 1 FROM chat_message_attachments WHERE content_hash = :digest AND state = 'stored')
        OR EXISTS (SELECT 1 FROM chat_uploads WHERE content_hash = :digest)
    """
)
_DROP: Final = text("DELETE FROM file_garbage WHERE digest = :digest")
_UNNAMED: Final = text("SELECT account_id, upload_id FROM unnamed_uploads(:older_than, :at_most)")
_FORGET: Final = text("DELETE FROM chat_uploads WHERE id = :id RETURNING id")
_OLD: Final = text("SELECT account_id, attachment_id FROM old_files(:older_than, :at_most)")


async def spare(conn: AsyncConnection, digest: str) -> None:
    """Say that a file of the entered account is about to be kept. Waits for who is just deleting it."""
    await conn.execute(_SPARE, {"digest": digest})


async def due(conn: AsyncConnection, at_most: int) -> list[tuple[UUID, str]]:
    """Return files of all accounts that somebody let go of an hour ago. Shape: (account, digest)."""
    return [(row.account_id, row.digest) for row in await conn.execute(_DUE, {"at_most": at_most})]


async def take(conn: AsyncConnection, digest: str) -> bool | None:
    """Lock a file's note until the transaction ends, and say whether nothing names the file; None: the note is not ours."""
    if (await conn.execute(_TAKE, {"digest": digest})).one_or_none() is None:
        return None
    return not (await conn.execute(_NAMED, {"digest": digest})).scalar_one()


async def drop(conn: AsyncConnection, digest: str) -> None:
    """Take a note away."""
    await conn.execute(_DROP, {"digest": digest})


async def unnamed(conn: AsyncConnection, older_than: timedelta, at_most: int) -> list[tuple[UUID, UUID]]:
    """Return uploads of all accounts that no message names, by then. Shape: (account, upload)."""
    found = await conn.execute(_UNNAMED, {"older_than": older_than, "at_most": at_most})
    return [(row.account_id, row.upload_id) for row in found]


async def forget_upload(conn: AsyncConnection, upload_id: UUID) -> bool:
    """Delete an upload's row; False where it is gone."""
    return (await conn.execute(_FORGET, {"id": upload_id})).one_or_none() is not None


async def old(conn: AsyncConnection, older_than: timedelta, at_most: int) -> list[tuple[UUID, UUID]]:
    """Return stored files of all accounts that are older. Shape: (account, attachment)."""
    found = await conn.execute(_OLD, {"older_than": older_than, "at_most": at_most})
    return [(row.account_id, row.attachment_id) for row in found]
