"""Where the bytes of files are kept: by their SHA-256, apart for each account, in a folder or in any S3.

A file comes in through `receive`, which spools it to a nameless temporary file: it is never whole in memory, has no
final name before it is whole and looked at, and a killed process leaves nothing behind. `keep` gives it its name. The
key begins with the account, so that no tenant can find out by a hash whether another one has the same file. Called by
activities and by the api; adapters are handed streams.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol
from uuid import UUID

CHUNK_BYTES: Final = 256 * 1024
LEFT_BEHIND_S: Final = 3_600.0
_COMING: Final = ".coming-"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class TooLargeError(Exception):
    """A stream went on past its limit; what had come of it is gone."""


class NoSuchFileError(Exception):
    """The store has no file under this hash in this account."""


@dataclass(frozen=True, slots=True)
class Received:
    """A whole file that has no name yet. `file`: open for reading, anywhere; it vanishes when it is closed."""

    file: IO[bytes]
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in the store. `key`: its name there, `{account}/{first two of the hash}/{hash}`."""

    digest: str
    size_bytes: int
    key: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3-compatible bucket. Without an endpoint it is AWS; without keys they come from the environment, as usual there."""

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = None


class Backend(Protocol):
    """What keeps named bytes: a folder, or a bucket."""

    async def put(self, key: str, received: Received) -> None:
        """Store a file, visible only once it is whole. The same key again is no error."""
        ...

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Open a file and return its chunks. Raises NoSuchFileError."""
        ...

    async def delete(self, key: str) -> None:
        """Delete a file; one that is not there is no error."""
        ...


def storage_key(account_id: UUID, digest: str) -> str:
    """Return a file's key. Raises ValueError for what is no SHA-256 in hex: it would be a path."""
    if _DIGEST.fullmatch(digest) is None:
        raise ValueError("not a SHA-256 in lower-case hex")
    return f"{account_id}/{digest[:2]}/{digest}"


class Folder:
    """Files in a local folder. A file is written beside its place, flushed to the disk, and moved there in one step."""

    def __init__(self, root: Path) -> None:
        self._root = root
        _tidy(root)

    async def put(self, key: str, received: Received) -> None:
        """Store a file. Idempotent: the same content under the same key."""
        await asyncio.to_thread(self._put, self._root / key, received)

    def _put(self, path: Path, received: Received) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        received.file.seek(0)
        with tempfile.NamedTemporaryFile(dir=self._root, prefix=_COMING, delete=False) as target:
            try:
                while chunk := received.file.read(CHUNK_BYTES):
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
                Path(target.name).replace(path)
            except BaseException:
                with suppress(FileNotFoundError):
                    Path(target.name).unlink()
                raise
        for folder in (path.parent, path.parent.parent):
            _sync(folder)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Open a file and return its chunks. Raises NoSuchFileError."""
        try:
            file = await asyncio.to_thread((self._root / key).open, "rb")
        except FileNotFoundError as error:
            raise NoSuchFileError from error
        return _chunks(file)

    async def delete(self, key: str) -> None:
        """Delete a file; one that is not there is no error."""
        await asyncio.to_thread((self._root / key).unlink, missing_ok=True)


def _tidy(root: Path) -> None:
    """Remove what a process left that was killed between writing a file and moving it to its place."""
    for left in root.glob(f"{_COMING}*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LEFT_BEHIND_S:
                left.unlink()


def _sync(folder: Path) -> None:
    """Make a new name in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def _chunks(file: IO[bytes]) -> AsyncGenerator[bytes]:
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
    finally:
        file.close()


class FileStore:
    """One per process. `spool`: the folder of files that are coming in; None for the system's."""

    def __init__(self, backend: Backend, spool: Path | None = None) -> None:
        self._backend = backend
        self._spool = spool

    @asynccontextmanager
    async def receive(self, chunks: AsyncIterator[bytes], *, limit_bytes: int) -> AsyncGenerator[Received]:
        """Spool a stream, and hold it while the block runs. Raises TooLargeError, and whatever the stream raises."""
        file = await asyncio.to_thread(self._open)
        try:
            digest, size_bytes = hashlib.sha256(), 0
            async for chunk in chunks:
                size_bytes += len(chunk)
                if size_bytes > limit_bytes:
                    raise TooLargeError
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(file.flush)
            yield Received(file, size_bytes, digest.hexdigest())
        finally:
            file.close()

    def _open(self) -> IO[bytes]:
        if self._spool is not None:
            self._spool.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._spool)

    async def keep(self, account_id: UUID, received: Received) -> Kept:
        """Give a received file its place. Idempotent by its content; raises OSError where the store fails."""
        key = storage_key(account_id, received.digest)
        await self._backend.put(key, received)
        return Kept(received.digest, received.size_bytes, key)

    async def put(self, account_id: UUID, chunks: AsyncIterator[bytes], *, limit_bytes: int) -> Kept:
        """Store a stream whose content needs no look. Raises TooLargeError and OSError."""
        async with self.receive(chunks, limit_bytes=limit_bytes) as received:
            return await self.keep(account_id, received)

    async def open(self, account_id: UUID, digest: str) -> AsyncIterator[bytes]:
        """Open an account's file and return its chunks. Raises NoSuchFileError."""
        return await self._backend.get(storage_key(account_id, digest))

    async def delete(self, account_id: UUID, digest: str) -> None:
        """Delete an account's file. The caller knows that no attachment names it any more."""
        await self._backend.delete(storage_key(account_id, digest))


def file_store(folder: Path, bucket: Bucket | None = None) -> FileStore:
    """Return the store that is configured: the bucket where there is one, else the folder."""
    if bucket is None:
        return FileStore(Folder(folder), spool=folder)
    from activities.object_store import ObjectStore

    return FileStore(ObjectStore(bucket))
