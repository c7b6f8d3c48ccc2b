"""Files in a bucket: any S3-compatible store, by obstore. Loaded only where one is configured: its library is large.

An object is visible only once it was uploaded whole; what a killed upload has left is hidden, and goes by the bucket's
own rule for incomplete uploads. Called by activities/files.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Final

import obstore
from obstore.store import S3Store

from activities.files import Bucket, NoSuchFileError, Received

if TYPE_CHECKING:
    from obstore.store import S3Config

PART_BYTES: Final = 5 << 20
"""The least that S3 takes as a part: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html."""
PARTS_AT_ONCE: Final = 2
PIECE_BYTES: Final = 256 * 1024


class ObjectStore:
    """Files in one bucket, under a prefix. Raises OSError for every failure, which is tried again."""

    def __init__(self, bucket: Bucket) -> None:
        config: S3Config = {"region": bucket.region, "disable_bulk_delete": True}
        if bucket.endpoint is not None:
            config["endpoint"] = bucket.endpoint
        if bucket.access_key_id is not None and bucket.secret_access_key is not None:
            config["access_key_id"] = bucket.access_key_id
            config["secret_access_key"] = bucket.secret_access_key
        self._store = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            config=config,
            client_options={"allow_http": (bucket.endpoint or "").startswith("http://"), "timeout": "60s"},
        )

    async def put(self, key: str, received: Received) -> None:
        """Upload a file in parts. Idempotent: the same content under the same key."""
        received.file.seek(0)
        try:
            await obstore.put_async(
                self._store, key, received.file, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise OSError(f"the bucket did not take the file ({type(error).__name__})") from error

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Open a file and return its chunks. Raises NoSuchFileError."""
        try:
            found = await obstore.get_async(self._store, key)
        except FileNotFoundError as error:
            raise NoSuchFileError from error
        except Exception as error:
            raise OSError(f"the bucket does not answer ({type(error).__name__})") from error
        return _pieces(found)

    async def delete(self, key: str) -> None:
        """Delete a file; one that is not there is no error."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except Exception as error:
            raise OSError(f"the bucket does not answer ({type(error).__name__})") from error


async def _pieces(found: obstore.GetResult) -> AsyncGenerator[bytes]:
    async for piece in found.stream(min_chunk_size=PIECE_BYTES):
        yield bytes(piece)
