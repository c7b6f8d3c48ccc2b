"""A bucket on a real socket: as much of S3's protocol as obstore speaks to store, read and delete one object."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.adapters.support import FakeServer, Reply, fake_server

_STARTED = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
_COMPLETED = b'<CompleteMultipartUploadResult><ETag>"done"</ETag></CompleteMultipartUploadResult>'
_MISSING = b"<Error><Code>NoSuchKey</Code></Error>"
_DATED = {"last-modified": "Tue, 24 Nov 2026 10:00:00 GMT", "etag": '"e"'}


@dataclass
class FakeBucket(FakeServer):
    """Objects by path. `parts`: of the upload under way; `broken`: answer every upload of a part with an error."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    parts: dict[int, bytes] = field(default_factory=dict[int, bytes])
    broken: bool = False

    def reply(self, method: str, target: str, body: bytes) -> Reply:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query, keep_blank_values=True)
        if method == "POST" and "uploads" in query:
            self.parts = {}
            return Reply(200, _STARTED)
        if method == "PUT" and "partNumber" in query:
            self.parts[int(query["partNumber"][0])] = body
            return Reply(403, b"<Error/>") if self.broken else Reply(200, b"", {"etag": '"p"'})
        if method == "POST":
            self.objects[path] = b"".join(self.parts[number] for number in sorted(self.parts))
            return Reply(200, _COMPLETED)
        if method == "PUT":
            if not self.broken:
                self.objects[path] = body
            return Reply(403 if self.broken else 200, b"", {"etag": '"e"'})
        if method == "DELETE":
            self.objects.pop(path, None)
            return Reply(204, b"")
        found = self.objects.get(path)
        return Reply(404, _MISSING) if found is None else Reply(200, found, _DATED)


@asynccontextmanager
async def fake_bucket() -> AsyncGenerator[FakeBucket]:
    """Serve an empty bucket on a free port of the loopback until the block ends."""
    bucket = FakeBucket()
    async with fake_server(bucket):
        yield bucket
