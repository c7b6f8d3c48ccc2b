"""Ending tasks for good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_AGAIN_S: Final = 0.5


async def cancel_all(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel until all are done; outcomes stay in the tasks.

    Once is not enough on Python 3.11: `wait_for` (inside redis-py) and a task group that is just failing can swallow a
    cancellation, and whoever then waits for the task waits for ever.
    """
    pending = {task for task in tasks if task is not None and not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
