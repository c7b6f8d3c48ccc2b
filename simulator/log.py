"""Append-only logs that can be awaited, so that nobody has to sleep and look again. In memory; called by state.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Numbered(Protocol):
    """What a log holds: it gives `n`, counted from 1 and never used twice, also not after a reset."""

    n: int


T = TypeVar("T", bound=Numbered)
V = TypeVar("V")


class Changes:
    """A version that rises at every change and wakes who waits."""

    def __init__(self) -> None:
        self.version = 0
        self.closed = False
        self._changed = asyncio.Event()

    def bump(self) -> None:
        """Note a change."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """End all waiting, now and later."""
        self.closed = True
        self.bump()

    async def until(self, probe: Callable[[], V | None], timeout_s: float) -> V | None:
        """Return the first result of `probe` that is not None, or None when the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            found = probe()
            if found is not None or self.closed:
                return found
            try:
                await asyncio.wait_for(self._changed.wait(), deadline - loop.time())
            except TimeoutError:
                return probe()


class Log(Generic[T]):
    """Entries in order, numbered."""

    def __init__(self, changes: Changes) -> None:
        self.items: list[T] = []
        self._dropped = 0
        self._changes = changes

    @property
    def last(self) -> int:
        """Return the newest entry's number, 0 before the first."""
        return self._dropped + len(self.items)

    def append(self, item: T) -> None:
        """Number and keep an entry."""
        self.items.append(item)
        item.n = self.last
        self._changes.bump()

    def restore(self, item: T) -> None:
        """Take back a written entry under its old number."""
        if not self.items:
            self._dropped = item.n - 1
        self.items.append(item)

    def clear(self, keep: Callable[[T], bool] | None = None) -> None:
        """Forget entries; numbers go on, and kept entries get new ones."""
        last = self.last
        self.items = [item for item in self.items if keep(item)] if keep else []
        self._dropped = last
        for position, item in enumerate(self.items, last + 1):
            item.n = position
        self._changes.bump()

    def after(self, n: int, match: Callable[[T], bool]) -> list[T]:
        """Return the matching entries with a greater number."""
        return [item for item in self.items[max(0, n - self._dropped) :] if match(item)]

    async def wait(self, n: int, match: Callable[[T], bool], timeout_s: float, at_least: int = 1) -> list[T]:
        """Return the matching entries after `n`, waiting for so many; what there is when the time is over."""
        position = n
        found: list[T] = []

        def probe() -> bool | None:
            nonlocal position
            found.extend(self.after(position, match))
            position = max(position, self.last)
            return len(found) >= at_least or None

        await self._changes.until(probe, timeout_s)
        return found
