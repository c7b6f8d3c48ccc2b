"""Where files are kept: once, whole or not at all, apart for each account, and never whole in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from activities.files import Bucket, FileStore, NoSuchFileError, TooLargeError, file_store, storage_key
from tests.activities.bucket_server import FakeBucket, fake_bucket

LIMIT = 20 << 20
ACCOUNT, OTHER = uuid4(), uuid4()


async def pieces(content: bytes, size: int = 65_536) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def breaking(content: bytes) -> AsyncGenerator[bytes]:
    yield content
    raise ConnectionError


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
async def bucket() -> AsyncGenerator[FakeBucket]:
    async with fake_bucket() as fake:
        yield fake


def in_bucket(bucket: FakeBucket) -> FileStore:
    return file_store(Path("unused"), Bucket("files", "p", bucket.origin, "eu-1", "id", "secret"))


class TestFolder:
    async def test_the_same_content_is_kept_once_and_found_by_its_hash(self, tmp_path: Path) -> None:
        store, content = file_store(tmp_path), os.urandom(700_000)
        first = await store.put(ACCOUNT, pieces(content), limit_bytes=LIMIT)
        assert first == await store.put(ACCOUNT, pieces(content, 1_000), limit_bytes=LIMIT)
        assert (first.digest, first.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
        assert names(tmp_path) == [storage_key(ACCOUNT, first.digest)]
        assert await whole(await store.open(ACCOUNT, first.digest)) == content

    async def test_a_hash_says_nothing_about_another_account(self, tmp_path: Path) -> None:
        store = file_store(tmp_path)
        kept = await store.put(ACCOUNT, pieces(b"secret"), limit_bytes=LIMIT)
        with pytest.raises(NoSuchFileError):
            await whole(await store.open(OTHER, kept.digest))
        await store.put(OTHER, pieces(b"secret"), limit_bytes=LIMIT)
        await store.delete(OTHER, kept.digest)
        assert await whole(await store.open(ACCOUNT, kept.digest)) == b"secret"

    async def test_too_much_leaves_nothing(self, tmp_path: Path) -> None:
        store = file_store(tmp_path)
        await store.put(ACCOUNT, pieces(b"x" * 100, 10), limit_bytes=100)
        with pytest.raises(TooLargeError):
            await store.put(ACCOUNT, pieces(b"y" * 101, 10), limit_bytes=100)
        assert len(names(tmp_path)) == 1

    async def test_a_stream_that_breaks_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ConnectionError):
            await file_store(tmp_path).put(ACCOUNT, breaking(b"half"), limit_bytes=LIMIT)
        assert names(tmp_path) == []

    async def test_what_a_killed_process_left_is_removed(self, tmp_path: Path) -> None:
        (tmp_path / ".coming-old").write_bytes(b"half")
        os.utime(tmp_path / ".coming-old", (0, 0))
        (tmp_path / ".coming-new").write_bytes(b"ha")
        file_store(tmp_path)
        assert names(tmp_path) == [".coming-new"]

    async def test_delete_twice(self, tmp_path: Path) -> None:
        store = file_store(tmp_path)
        kept = await store.put(ACCOUNT, pieces(b"a"), limit_bytes=LIMIT)
        await store.delete(ACCOUNT, kept.digest)
        await store.delete(ACCOUNT, kept.digest)
        with pytest.raises(NoSuchFileError):
            await store.open(ACCOUNT, kept.digest)

    @pytest.mark.parametrize("digest", ["../../etc/passwd", "A" * 64, "a" * 63, ""])
    def test_what_is_no_hash_is_no_path(self, digest: str) -> None:
        with pytest.raises(ValueError, match="SHA-256"):
            storage_key(ACCOUNT, digest)


class TestBucket:
    @pytest.mark.parametrize("size", [0, 1, 11 << 20])
    async def test_stores_reads_and_deletes(self, bucket: FakeBucket, size: int) -> None:
        store, content = in_bucket(bucket), os.urandom(size)
        kept = await store.put(ACCOUNT, pieces(content), limit_bytes=LIMIT)
        assert list(bucket.objects) == [f"/files/p/{storage_key(ACCOUNT, kept.digest)}"]
        assert await whole(await store.open(ACCOUNT, kept.digest)) == content
        await store.delete(ACCOUNT, kept.digest)
        assert bucket.objects == {}
        with pytest.raises(NoSuchFileError):
            await store.open(ACCOUNT, kept.digest)

    async def test_a_bucket_that_refuses_is_an_error_and_leaves_nothing(self, bucket: FakeBucket) -> None:
        bucket.broken = True
        with pytest.raises(OSError, match="did not take"):
            await in_bucket(bucket).put(ACCOUNT, pieces(b"a" * (6 << 20)), limit_bytes=LIMIT)
        assert bucket.objects == {}
