"""Starts toy stacks as processes of their own and looks at them from outside. Called by the supervisor's tests."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

from stack.paths import ROOT
from stack.process import descendants, start_time
from stack.state import StackState

LIMIT_S = 30.0
T = TypeVar("T")


async def until(question: Callable[[], T | None]) -> T:
    """Ask until there is an answer that counts."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            answer = question()
            if answer:
                return answer
            await asyncio.sleep(0.02)


async def until_true(question: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            if await question():
                return
            await asyncio.sleep(0.05)


class ToyStack:
    """One stack in a folder of its own, started by `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: asyncio.subprocess.Process | None = None
        self.reports: list[list[str]] = []

    async def start(self, **env: str) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.stack.toy"),
            cwd=ROOT,
            env={**os.environ, "POWERNODE_VAR_DIR": str(self.folder), **env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            async for line in self.process.stdout:
                self.reports.append(json.loads(line))
                if self.reports[-1][0] in {"ready", "fail"}:
                    break
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def state(self) -> StackState:
        found = StackState.read(self.folder)
        assert found is not None
        return found

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the supervisor and wait for it."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the supervisor to end by itself; return its exit status."""
        assert self.process is not None
        async with asyncio.timeout(LIMIT_S):
            return await self.process.wait()


@asynccontextmanager
async def toy_folder() -> AsyncGenerator[Path]:
    """A var folder that is gone afterwards, with all that ran in it."""
    folder = Path(tempfile.mkdtemp(prefix="powernode-stack-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def toy_stack(**env: str) -> AsyncGenerator[ToyStack]:
    """A running toy stack."""
    async with toy_folder() as folder:
        stack = ToyStack(folder)
        try:
            yield await stack.start(**env)
        finally:
            await stack.end()


def family(pid: int) -> dict[int, str]:
    """Return a process and all below it with their start times."""
    found = {one: start_time(one) for one in (pid, *descendants(pid))}
    return {one: started for one, started in found.items() if started is not None}


def alive(seats: dict[int, str]) -> list[int]:
    """Return which of those processes still run."""
    return [pid for pid, started in seats.items() if start_time(pid) == started]
