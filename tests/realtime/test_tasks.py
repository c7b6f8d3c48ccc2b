"""Ending tasks that do not want to end: what swallows its first cancellation is cancelled again."""

from __future__ import annotations

import asyncio

import pytest

from realtime.tasks import cancel_all, run_until_one_ends
from tests.realtime.support import WAIT_S


class Stubborn:
    """A part that swallows its first cancellation, as `wait_for` can on Python 3.11."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.task: asyncio.Task[object] | None = None

    async def run(self) -> None:
        self.task = asyncio.current_task()
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    @property
    def ended(self) -> bool:
        return self.task is not None and self.task.cancelled()


class TestRunUntilOneEnds:
    async def test_a_stubborn_part_ends_with_its_caller(self) -> None:
        part = Stubborn()
        caller = asyncio.create_task(run_until_one_ends(part.run()))
        await part.begun.wait()
        async with asyncio.timeout(WAIT_S):
            await cancel_all([caller])
        assert caller.cancelled()
        assert part.ended

    async def test_a_stubborn_part_ends_when_another_fails(self) -> None:
        part = Stubborn()

        async def fail() -> None:
            await part.begun.wait()
            raise OSError("gone")

        async with asyncio.timeout(WAIT_S):
            with pytest.raises(OSError, match="gone"):
                await run_until_one_ends(part.run(), fail())
        assert part.ended
