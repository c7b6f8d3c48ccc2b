"""Files go after their time: uploads that no message names, files that are older than they are to be kept, and their bytes once
nothing names them any more.

Rows go first, each in a transaction of its own; the bytes follow from the notes that the rows left (db/garbage.py). So a worker may
die anywhere, and the next sweep goes on. Called by the worker's sweeper.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from activities.dispatch import Dispatcher
from activities.files import FileStore
from db import attachments, garbage
from db.attachments import AlreadySettledError
from db.session import Database
from domain.errors import NotFoundError

log = structlog.get_logger()

EVERY_S: Final = 60.0
AT_MOST: Final = 200


@dataclass
class Retention:
    """One per worker. `uploads_keep`: for how long an upload waits for its message; `files_keep`: None for ever."""

    db: Database
    files: FileStore
    dispatcher: Dispatcher
    uploads_keep: timedelta = timedelta(hours=24)
    files_keep: timedelta | None = None
    _next: float = 0.0

    async def sweep(self) -> int:
        """Let go of what is over, once in `EVERY_S`; returns how many rows and files went."""
        if time.monotonic() < self._next:
            return 0
        self._next = time.monotonic() + EVERY_S
        return await self.forget_uploads() + await self.expire() + await self.collect()

    async def forget_uploads(self) -> int:
        """Delete uploads that no stored file of a sent message names: those never sent after `uploads_keep`, those sent once the
        files of all their messages have expired, which counts from when they were sent.
        """
        async with self.db.open() as conn:
            found = await garbage.unnamed(conn, self.uploads_keep, AT_MOST)
        for account_id, upload_id in found:
            async with self.db.account(account_id) as conn:
                await garbage.forget_upload(conn, upload_id)
        return len(found)

    async def expire(self) -> int:
        """Let go of files that are older than they are to be kept; their messages stay, and say so."""
        if self.files_keep is None:
            return 0
        async with self.db.open() as conn:
            found = await garbage.old(conn, self.files_keep, AT_MOST)
        for account_id, attachment_id in found:
            await self._expire(account_id, attachment_id, f"kept for {self.files_keep.days} days")
        return len(found)

    async def _expire(self, account_id: UUID, attachment_id: UUID, reason: str) -> None:
        try:
            async with self.db.account(account_id) as conn:
                row = await attachments.load(conn, attachment_id)
                aggregate = await attachments.expire(conn, account_id, row, reason)
        except (AlreadySettledError, NotFoundError):
            return
        self.dispatcher.notify(aggregate)

    async def collect(self) -> int:
        """Delete the bytes of files that nothing names any more; returns how many."""
        async with self.db.open() as conn:
            found = await garbage.due(conn, AT_MOST)
        return sum([await self._collect(account_id, digest) for account_id, digest in found])

    async def _collect(self, account_id: UUID, digest: str) -> bool:
        async with self.db.account(account_id) as conn:
            free = await garbage.take(conn, digest)
            if free is None:
                return False
            if free and not await self._deleted(account_id, digest):
                return False
            await garbage.drop(conn, digest)
        return free

    async def _deleted(self, account_id: UUID, digest: str) -> bool:
        """Delete bytes under their note's lock: who keeps the same content meanwhile waits, and keeps it anew."""
        try:
            await self.files.delete(account_id, digest)
        except OSError as error:
            log.warning("retention.store_failed", reason=type(error).__name__)
            return False
        return True
