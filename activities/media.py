"""Fetches files that people send: locate, download under limits, look at, scan, keep, and write down how it ended.

Each step before the last leaves nothing behind, and the last is written once, so that an attempt may die anywhere and
be repeated: exactly one file is kept. Called by workflows/media.py, on a task queue of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.channels import ChannelDesk
from activities.clamd import Clamd
from activities.dispatch import Dispatcher
from activities.failpoints import Failpoints
from activities.files import FileStore, NoSuchFileError, Received, TooLargeError
from activities.heartbeat import heartbeating
from activities.inspection import Inspected, inspect
from activities.queues import TaskQueues
from adapters.base import MediaSource
from adapters.downloads import Downloads, Limits, too_large
from adapters.transcription import Recording, Transcriber
from db import attachments, garbage
from db.attachments import AlreadySettledError, AttachmentRow, Ending
from db.channels import load_channel
from db.session import Database
from domain.errors import (
    FileGoneError,
    FileRefusedError,
    ForbiddenAddressError,
    InvalidInputError,
    NotFoundError,
    PowernodeError,
    UnavailableError,
)
from domain.filenames import clean_filename
from domain.files import AttachmentState, AttachmentType
from domain.media import Fetched, GivenUp, MediaFile, MediaPlan, MediaRef
from domain.message import Attachment, MessageType

log = structlog.get_logger()

GONE_AFTER: Final = 3
"""Attempts after which a file that the platform does not hand out counts as gone: addresses expire, and are asked anew."""


@dataclass(frozen=True, slots=True)
class Outside:
    """How foreign files come in and who is asked about them. `scanner`, `transcriber`: None where none is configured."""

    downloads: Downloads
    limits: Limits
    scanner: Clamd | None = None
    transcriber: Transcriber | None = None


@dataclass
class MediaActivities:
    """Files of messages, for workflows/media.py."""

    db: Database
    channels: ChannelDesk
    files: FileStore
    outside: Outside
    dispatcher: Dispatcher
    queues: TaskQueues = field(default_factory=TaskQueues)
    failpoints: Failpoints = field(default_factory=Failpoints)

    @activity.defn
    async def load_media(self, media: MediaRef) -> MediaPlan:
        """Return which files of a message are to be fetched. Local, 10 s, retried."""
        async with self.db.account(UUID(media.ref.account_id)) as conn:
            found = await attachments.waiting(conn, UUID(media.message_id))
        files = [MediaFile(media, str(one.id), f"{one.kind} {one.position + 1}") for one in found]
        return MediaPlan(self.queues.media, any(one.awaited for one in found), files)

    @activity.defn
    async def fetch_attachment(self, file: MediaFile) -> Fetched:
        """Fetch one file to its end. Idempotent: one that is settled stays as it is.

        Timeout/retry: heartbeat 5 s, 10 min an attempt, 6 h in all. Raises ApplicationError `MediaError` while it may succeed
        later.
        """
        account_id = UUID(file.media.ref.account_id)
        row = await self._load(account_id, file)
        if row is None or row.state != AttachmentState.WAITING:
            return self._fetched(row)
        async with heartbeating():
            try:
                ending = await self._fetch(account_id, row)
            except (FileRefusedError, ForbiddenAddressError) as error:
                ending = Ending(AttachmentState.REFUSED, error.message)
            except InvalidInputError as error:
                ending = Ending(AttachmentState.FAILED, error.message)
            except FileGoneError as error:
                if activity.info().attempt < GONE_AFTER:
                    raise _retryable(error) from error
                ending = Ending(AttachmentState.FAILED, error.message)
            except UnavailableError as error:
                raise _retryable(error) from error
            except OSError as error:
                log.warning("media.store_failed", attachment_id=str(row.id), reason=type(error).__name__)
                raise _retryable(UnavailableError("The file store does not take files just now")) from error
            await self._settle(account_id, row, ending)
        return self._fetched(await self._load(account_id, file))

    @activity.defn
    async def give_up_attachment(self, given: GivenUp) -> Fetched:
        """Write down that a file could not be fetched. Idempotent. Local, 10 s, retried."""
        account_id = UUID(given.file.media.ref.account_id)
        row = await self._load(account_id, given.file)
        if row is not None and row.state == AttachmentState.WAITING:
            await self._settle(account_id, row, Ending(AttachmentState.FAILED, given.reason))
            row = await self._load(account_id, given.file)
        return self._fetched(row)

    @activity.defn
    async def transcribe_attachment(self, file: MediaFile) -> None:
        """Write down what a recording says. Idempotent. Timeout/retry: heartbeat 5 s, 3 min, four attempts."""
        account_id = UUID(file.media.ref.account_id)
        row, transcriber = await self._load(account_id, file), self.outside.transcriber
        if row is None or row.content_hash is None or row.transcription is not None or transcriber is None:
            return
        async with heartbeating():
            try:
                chunks = await self.files.open(account_id, row.content_hash)
                recording = Recording(chunks, row.file_size or 0, row.mime_type, row.filename)
                said = await transcriber.transcribe(recording)
            except (UnavailableError, InvalidInputError) as error:
                raise _retryable(error, final=not error.retryable) from error
            except (NoSuchFileError, OSError) as error:
                raise _retryable(UnavailableError("The file store does not answer")) from error
            try:
                async with self.db.account(account_id) as conn:
                    aggregate = await attachments.transcribed(conn, account_id, row, said)
            except AlreadySettledError:
                return
        self.dispatcher.notify(aggregate)

    def _fetched(self, row: AttachmentRow | None) -> Fetched:
        if row is None:
            return Fetched(AttachmentState.FAILED)
        speech = row.state == AttachmentState.STORED and row.attachment_type == AttachmentType.AUDIO
        wanted = speech and row.transcription is None and self.outside.transcriber is not None
        return Fetched(row.state, transcribe=wanted)

    async def _load(self, account_id: UUID, file: MediaFile) -> AttachmentRow | None:
        async with self.db.account(account_id) as conn:
            try:
                return await attachments.load(conn, UUID(file.attachment_id))
            except NotFoundError:
                return None

    async def _settle(self, account_id: UUID, row: AttachmentRow, ending: Ending) -> None:
        try:
            async with self.db.account(account_id) as conn:
                aggregate = await attachments.settle(conn, account_id, row, ending)
        except AlreadySettledError:
            return
        self.dispatcher.notify(aggregate)

    async def _fetch(self, account_id: UUID, row: AttachmentRow) -> Ending:
        limits = self.outside.limits
        if row.file_size is not None and row.file_size > limits.max_bytes:
            raise too_large(row.file_size, limits.max_bytes)
        source = await self._locate(account_id, row)
        async with AsyncExitStack() as stack:
            # The download's time does not count what comes after it: the scan and the store have limits of their own.
            async with self.outside.downloads.open(source, limits) as download:
                receiving = self.files.receive(download.chunks, limit_bytes=limits.max_bytes)
                try:
                    received = await stack.enter_async_context(receiving)
                except TooLargeError as error:
                    raise too_large(None, limits.max_bytes) from error
            self.failpoints.at("media.received")
            return await self._keep(account_id, row, source, received)

    async def _locate(self, account_id: UUID, row: AttachmentRow) -> MediaSource:
        async with self.db.account(account_id) as conn:
            channel = await load_channel(conn, row.channel_id)
        adapter, context = self.channels.open(channel)
        wanted = Attachment(
            MessageType(row.attachment_type), row.platform_file_id or "", row.mime_type, row.filename, row.file_size
        )
        return await adapter.locate_media(context, wanted)

    async def _keep(self, account_id: UUID, row: AttachmentRow, source: MediaSource, received: Received) -> Ending:
        said, kind = source.mime_type or row.mime_type, AttachmentType(row.attachment_type)
        found = await asyncio.to_thread(inspect, received.file, received.size_bytes, said=said, kind=kind)
        name = clean_filename(source.filename or row.filename)
        refused = await self._malware(received)
        if refused is not None:
            return _ending(found, received, name, AttachmentState.REFUSED, f"malware was found in it: {refused}")
        async with self.db.account(account_id) as conn:
            await garbage.spare(conn, received.digest)
        kept = await self.files.keep(account_id, received)
        self.failpoints.at("media.kept")
        return _ending(found, received, name, AttachmentState.STORED, storage_key=kept.key)

    async def _malware(self, received: Received) -> str | None:
        scanner = self.outside.scanner
        return None if scanner is None else await scanner.malware(received.file)


def _ending(
    found: Inspected,
    received: Received,
    name: str | None,
    state: AttachmentState,
    reason: str | None = None,
    *,
    storage_key: str | None = None,
) -> Ending:
    return Ending(
        state=state,
        reason=reason,
        attachment_type=found.attachment_type.value,
        mime_type=found.mime_type,
        filename=name,
        file_size=received.size_bytes,
        content_hash=received.digest,
        storage_key=storage_key,
        metadata=found.metadata(),
        scanned=True,
        malware=reason is not None,
    )


def _retryable(error: PowernodeError, *, final: bool = False) -> ApplicationError:
    return ApplicationError(error.message, type="MediaError", non_retryable=final)
