"""A client library of browsers, in a Node process that tests talk to by JSON lines; see driver.mjs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tests.realtime.cable import Json

FOLDER = Path(__file__).parent
WAIT_S = 30.0


@dataclass
class Library:
    """One client. `events` are all that it said, in order."""

    process: asyncio.subprocess.Process
    events: list[Json] = field(default_factory=list[Json])
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, *command: object) -> None:
        """Let it do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()

    async def read(self) -> None:
        """Take in what it says until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.events.append(cast("Json", json.loads(line)))
            self.more.set()

    def of(self, *kinds: str, index: int | None = None) -> list[Json]:
        """What it said of these kinds, about one subscription if told."""
        return [one for one in self.events if one["event"] in kinds and index in {None, one.get("index")}]

    async def until(self, kind: str, count: int = 1, *, index: int | None = None) -> Json:
        """Wait until it has said something so many times; return the last."""
        await self._wait(lambda: len(self.of(kind, index=index)) >= count, f"{count} {kind}")
        return self.of(kind, index=index)[count - 1]

    async def until_number(self, number: int, index: int = 0) -> None:
        """Wait until a number has reached one subscription; see `Feed`."""
        await self._wait(lambda: number in self.numbers(index), f"number {number}")

    async def until_numbers(self, count: int, index: int = 0) -> None:
        """Wait until so many numbers have reached one subscription."""
        await self._wait(lambda: len(self.numbers(index)) >= count, f"{count} numbers")

    async def _wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    self.more.clear()
                    await self.more.wait()
        except TimeoutError:
            raise AssertionError(f"no {what}; the last of {len(self.events)}: {self.events[-5:]}") from None

    def numbers(self, index: int = 0) -> list[int]:
        """The numbers that reached one subscription; see `Feed`."""
        messages = [one["message"] for one in self.of("message", index=index)]
        found = [cast("Json", message) for message in messages if isinstance(message, dict)]
        return [cast("int", message["n"]) for message in found if "n" in message]


async def install() -> None:
    """Install the libraries as the lock file says, unless they are there."""
    if not (FOLDER / "node_modules").is_dir():
        process = await asyncio.create_subprocess_exec("npm", "ci", "--no-audit", "--no-fund", cwd=FOLDER)
        assert await process.wait() == 0


def has_node() -> bool:
    """Whether Node is installed."""
    return shutil.which("node") is not None


@contextlib.asynccontextmanager
async def running_library(
    kind: str, url: str, token: str, channels: Sequence[Json], **options: object
) -> AsyncGenerator[Library]:
    """Start a client of a library: `rails`, `core` (base protocol) or `core-ext`."""
    told = {"kind": kind, "url": url, "token": token, "channels": list(channels), "reconnectMs": 150, "staleS": 2}
    process = await asyncio.create_subprocess_exec(
        "node", "driver.mjs", json.dumps(told | options), cwd=FOLDER,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    library = Library(process)
    reading = asyncio.create_task(library.read())
    try:
        await library.until("ready")
        yield library
        await library.tell("end")
        async with asyncio.timeout(5):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
