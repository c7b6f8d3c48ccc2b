"""Run as a process of its own: downloads a file into a store, and prints by how much its memory grew at most, in bytes.

Arguments: a small file's address, the large one's, the token, the store's folder. Prints `{"grew": …, "size": …}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from uuid import uuid4

from activities.files import file_store
from adapters.base import MediaSource
from adapters.downloads import Downloads, Limits
from adapters.guard import Guard, places_of

LIMITS = Limits(max_bytes=200 << 20, total_s=100)


def memory(field: str) -> int:
    """Return `VmRSS` or its peak, `VmHWM`, in bytes. (getrusage's peak would be the parent's, from before the exec.)"""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


async def fetch(url: str, token: str, folder: Path) -> int:
    """Download, spool, keep; return the size."""
    downloads, store = Downloads(Guard(places_of([url]))), file_store(folder)
    source = MediaSource(url, {"authorization": f"Bearer {token}"})
    async with downloads.open(source, LIMITS) as download:
        kept = await store.put(uuid4(), download.chunks, limit_bytes=LIMITS.max_bytes)
    await downloads.close()
    return kept.size_bytes


async def main(small: str, large: str, token: str, folder: Path) -> None:
    """Fetch a small one first, so that what is loaded once is not counted."""
    await fetch(small, token, folder)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
    before = memory("VmRSS")
    size = await fetch(large, token, folder)
    sys.stdout.write(json.dumps({"grew": memory("VmHWM") - before, "size": size}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
