"""Database steps that must not be given up: an accepted send must not be forgotten because Postgres restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from domain.errors import UnavailableError

T = TypeVar("T")


async def until_stored(write: Callable[[], Awaitable[T]]) -> T:
    """Run a database step until Postgres answers. Raises UnavailableError after half an hour."""
    for attempt in range(1, 1_000):
        try:
            return await write()
        except UnavailableError:
            await asyncio.sleep(min(2.0, 0.05 * 2**attempt))
    raise UnavailableError("The database did not come back")
