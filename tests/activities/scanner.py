"""A ClamAV daemon on a real socket: takes INSTREAM as clamd does, finds EICAR, and can break in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


@dataclass
class FakeClamd:
    """`answer`: said instead of a verdict; b"" closes without a word."""

    address: str = ""
    answer: bytes | None = None
    seen: list[bytes] = field(default_factory=list[bytes])
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
            content = bytearray()
            while size := int.from_bytes(await reader.readexactly(4), "big"):
                content += await reader.readexactly(size)
            self.seen.append(bytes(content))
            self.came.set()
            verdict = b"stream: Eicar-Test-Signature FOUND\0" if EICAR in content else b"stream: OK\0"
            writer.write(verdict if self.answer is None else self.answer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def fake_clamd(path: Path | None = None) -> AsyncGenerator[FakeClamd]:
    """Listen on the loopback, or at a path, until the block ends."""
    fake = FakeClamd()
    if path is not None:
        server = await asyncio.start_unix_server(fake.serve, path)
        fake.address = f"unix:{path}"
    else:
        server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
        fake.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        await server.wait_closed()
