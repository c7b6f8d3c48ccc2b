"""Asks ClamAV's daemon about a file, over its own protocol: https://docs.clamav.net/manual/Usage/Scanning.html#clamd.

A file is scanned or not safe: no answer, an answer that is no verdict, and a file longer than the daemon takes are all
UnavailableError, which is tried again. Called by activities/media.py where an address is configured.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import IO, Final

from domain.errors import UnavailableError

CHUNK_BYTES: Final = 128 * 1024
_AWAY: Final = "The virus scanner does not answer"


@dataclass(frozen=True, slots=True)
class Clamd:
    """Where it listens: `unix:/run/clamav/clamd.ctl`, or `host:port`."""

    address: str
    timeout_s: float = 60.0

    async def malware(self, file: IO[bytes]) -> str | None:
        """Return the name of what was found in a file; None where it is clean. Raises UnavailableError."""
        try:
            async with asyncio.timeout(self.timeout_s):
                answer = await self._ask(file)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise UnavailableError(_AWAY) from error
        verdict = answer.rstrip(b"\0\n").decode("utf-8", "replace").removeprefix("stream: ")
        if verdict == "OK":
            return None
        if verdict.endswith(" FOUND"):
            return verdict.removesuffix(" FOUND")
        raise UnavailableError(f"The virus scanner could not look at the file: {verdict[:200]}")

    async def _ask(self, file: IO[bytes]) -> bytes:
        if self.address.startswith("unix:"):
            reader, writer = await asyncio.open_unix_connection(self.address.removeprefix("unix:"))
        else:
            host, _, port = self.address.rpartition(":")
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            writer.write(b"zINSTREAM\0")
            file.seek(0)
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                writer.write(len(chunk).to_bytes(4, "big") + chunk)
                await writer.drain()
            writer.write(b"\0\0\0\0")
            await writer.drain()
            return await reader.readuntil(b"\0")
        finally:
            writer.close()
