"""Ending tasks for good."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

_AGAIN_S: Final = 0.5


async def cancel_all(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel until all are done; outcomes stay in the tasks.

    Once is not enough on Python 3.11: `wait_for` (inside redis-py) and a task group that is just failing can swallow a
    cancellation, and whoever then waits for the task waits for ever.
    """
    pending = {task for task in tasks if task is not None and not task.done()}
    cancelled: asyncio.CancelledError | None = None
    while pending:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=_AGAIN_S)
        except asyncio.CancelledError as error:
            cancelled = error  # the caller's own end waits for theirs
        pending = {task for task in pending if not task.done()}
    if cancelled is not None:
        raise cancelled


async def run_until_one_ends(*parts: Coroutine[Any, Any, None]) -> None:
    """Run parts beside each other until one of them ends, then end the others. Raises what a part ended with.

    A task group does not do: it cancels its tasks once only, and one that swallows that keeps it waiting for ever.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        await cancel_all(tasks)
    for task in ended:
        task.result()
