"""Keeps a running activity's heartbeat going, so that a killed worker is noticed in seconds and a cancel arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio import activity


@asynccontextmanager
async def heartbeating(every_s: float = 1.5) -> AsyncGenerator[None]:
    """Heartbeat in the background while the block runs. `every_s` must be well under the heartbeat time-out.

    The first beat waits, because most activities end before it and each beat is a call to Temporal.
    """

    async def beat() -> None:
        while True:
            await asyncio.sleep(every_s)
            activity.heartbeat()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
