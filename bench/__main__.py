"""`make bench`: all measurements, one after the other; one JSON line a row."""

from __future__ import annotations

import asyncio
import os
import sys

from bench import ingest, pipeline


async def main() -> None:
    """Run them all."""
    await ingest.run()
    await pipeline.run()


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    # The Temporal SDK's threads can abort in the interpreter's own exit (temporalio/sdk-python#300).
    os._exit(0)
