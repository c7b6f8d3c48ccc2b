"""Keeps a running activity's heartbeat going, so that a killed worker is noticed in seconds and a cancel arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio import activity


@asynccontextmanager
async def heartbeating(every_s: float = 1.5) -> AsyncGenerator[None]:
    """Heartbeat in the background while the block runs. `every_s` must be well under the heartbeat time-out.

    The first beat waits, because most activities end before it and each beat is a call to Temporal. A timer and no task:
    it runs in the activity's own context, and costs nothing when it never fires.
    """
    loop = asyncio.get_running_loop()

    def beat() -> None:
        nonlocal timer
        activity.heartbeat()
        timer = loop.call_later(every_s, beat)

    timer = loop.call_later(every_s, beat)
    try:
        yield
    finally:
        timer.cancel()
