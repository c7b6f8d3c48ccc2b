"""Ending tasks that do not want to end: what swallows its first cancellation is cancelled again."""

from __future__ import annotations

import asyncio

import pytest

from realtime.tasks import cancel_all, run_until_one_ends
from tests.realtime.support import WAIT_S


async def stubborn(begun: asyncio.Event) -> None:
    """Swallow the first cancellation, as `wait_for` can on Python 3.11."""
    begun.set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


class TestRunUntilOneEnds:
    async def test_a_stubborn_part_ends_with_its_caller(self) -> None:
        begun = asyncio.Event()
        caller = asyncio.create_task(run_until_one_ends(stubborn(begun)))
        await begun.wait()
        async with asyncio.timeout(WAIT_S):
            await cancel_all([caller])
        assert caller.cancelled()
        assert len(asyncio.all_tasks()) == 1

    async def test_a_stubborn_part_ends_when_another_fails(self) -> None:
        begun = asyncio.Event()

        async def fail() -> None:
            await begun.wait()
            raise OSError("gone")

        async with asyncio.timeout(WAIT_S):
            with pytest.raises(OSError, match="gone"):
                await run_until_one_ends(stubborn(begun), fail())
        assert len(asyncio.all_tasks()) == 1
