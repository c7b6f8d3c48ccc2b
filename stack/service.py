"""What the supervisor needs to know of a process it runs: how to prepare, start and probe it. Not how it is watched."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from stack.process import Program, send_group, spawn, tail

_FIRST_PROBE_S: Final = 0.03
_SLOWEST_PROBE_S: Final = 0.25
"""Asked at growing intervals: what starts at once is seen at once, what takes long keeps its processor."""


class StartError(RuntimeError):
    """A process did not become ready; the message ends with the end of its log."""


def _silent(_line: str) -> None:
    return


class Service(ABC):
    """One process of a stack."""

    name: str
    title: str
    """What a person sees while it starts."""
    start_limit_s: float = 60.0
    port: int = 0
    say: Callable[[str], None] = staticmethod(_silent)
    """Set by whoever starts it: shows what takes long."""

    async def prepare(self) -> None:
        """Make what the process needs before its first start (data folders, binaries). Idempotent."""
        return

    @abstractmethod
    def program(self) -> Program:
        """Return how to start it."""

    @abstractmethod
    async def probe(self, pid: int) -> bool:
        """Ask the process, once, whether it can serve; False while it cannot. Does not raise."""

    async def settle(self) -> None:
        """Finish what needs the process to serve (roles, a database). Called once per run; idempotent."""
        return

    def detail(self) -> str:
        """Return the few words shown beside the step when it is done."""
        return f"port {self.port}" if self.port else ""


async def until_ready(service: Service, child: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers. Raises StartError when its process ends first or the time is over."""
    deadline = time.monotonic() + service.start_limit_s
    interval_s = _FIRST_PROBE_S
    while not await service.probe(child.pid):
        log = service.program().log
        if child.poll() is not None:
            raise StartError(f"{service.name} ended with status {child.returncode}; {log} ends:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise StartError(f"{service.name} was not ready in {service.start_limit_s:.0f} s; {log} ends:\n{tail(log)}")
        await asyncio.sleep(interval_s)
        interval_s = min(interval_s * 1.25, _SLOWEST_PROBE_S)


async def start(service: Service) -> subprocess.Popen[bytes]:
    """Prepare, start and await one service; the process is ended again if it does not become ready."""
    await service.prepare()
    child = spawn(service.program())
    try:
        await until_ready(service, child)
        await service.settle()
    except BaseException:
        await stop(service, child)
        raise
    return child


async def stop(service: Service, child: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, wait its grace, then kill what is left of its group."""
    program = service.program()
    if child.poll() is None:
        child.send_signal(program.stop_signal)
    with contextlib.suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(child.wait, program.grace_s)
    send_group(child.pid, signal.SIGKILL)
    child.wait()


async def http_status(url: str, limit_s: float = 5.0) -> int:
    """Return the status that a plain GET on loopback is answered with, 0 where there is no answer."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                line = (await reader.readline()).split()
                return int(line[1]) if len(line) > 1 else 0
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return 0
