"""Runs a stack: starts it stage by stage, brings back what is killed, ends it in the reverse order, leaves nothing.

As an init system would, it restarts a process whatever its exit was, on the same port with the same data. It does not
judge health: a process that lives but is not ready is waiting for another one, and killing it would not help.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from stack.ownership import Roster, Seat
from stack.paths import VarDir
from stack.process import adopt_orphans, descendants, reap_orphans, send, send_group, spawn
from stack.report import Report
from stack.service import Service, StartError, start, stop

_SOON_S: Final = 3.0
_BACKOFF_S: Final = (0.0, 0.1, 0.2, 0.4, 0.8, 1.5)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done once between two stages: migrate, seed. `work` returns the words beside the tick."""

    title: str
    work: Callable[[], Awaitable[str]]


Stage = Sequence[Service | Job]
"""What starts at the same time; the next stage waits for all of it."""


@dataclass(slots=True)
class _Running:
    service: Service
    child: subprocess.Popen[bytes]
    since: float
    quick_deaths: int = 0
    reviving: bool = False


class Supervisor:
    """One stack. `changed` gets the process ids by name when all is ready, and whenever they change from then on."""

    def __init__(
        self, var: VarDir, stages: Sequence[Stage], report: Report, changed: Callable[[dict[str, int]], None]
    ) -> None:
        self._var = var
        self._stages = stages
        self._report = report
        self._changed = changed
        self._running: dict[str, _Running] = {}
        self._ready = False
        self._stopping = asyncio.Event()
        self._child_ended = asyncio.Event()

    async def run(self) -> None:
        """Start, watch until told to stop, end everything. Raises StartError when a step of the start fails."""
        adopt_orphans()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGCHLD, self._child_ended.set)
        try:
            await self._until_stopped(self._start())
            if not self._stopping.is_set():
                self._ready = True
                self._publish()
                self._report.ready()
                await self._until_stopped(self._watch())
        finally:
            await self._end()

    def stop(self) -> None:
        """Begin to end; a second call ends everything at once."""
        if not self._stopping.is_set():
            self._report.say("stopping")
        else:
            for running in self._running.values():
                send_group(running.child.pid, signal.SIGKILL)
        self._stopping.set()

    async def _until_stopped(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=self._stopping.is_set())

    async def _start(self) -> None:
        for stage in self._stages:
            try:
                async with asyncio.TaskGroup() as together:
                    for item in stage:
                        together.create_task(self._step(item))
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None

    async def _step(self, item: Service | Job) -> None:
        began = time.monotonic()
        self._report.begin(item.title)
        try:
            if isinstance(item, Job):
                detail = await item.work()
            else:
                item.say = lambda text: self._report.note(item.title, text)
                self._running[item.name] = _Running(item, await start(item), time.monotonic())
                self._publish()
                detail = item.detail()
        except StartError as error:
            self._report.fail(item.title, str(error))
            raise
        except Exception as error:
            self._report.fail(item.title, f"{type(error).__name__}: {error}")
            raise StartError(item.title) from error
        self._report.done(item.title, f"{detail}  {time.monotonic() - began:.1f} s".strip())

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as revivals:
            while True:
                self._child_ended.clear()
                for item in self._running.values():
                    if not item.reviving and item.child.poll() is not None:
                        item.reviving = True
                        revivals.create_task(self._revive(item))
                reap_orphans({item.child.pid for item in self._running.values()})
                await self._child_ended.wait()

    async def _revive(self, item: _Running) -> None:
        soon = time.monotonic() - item.since < _SOON_S
        item.quick_deaths = item.quick_deaths + 1 if soon else 0
        send_group(item.child.pid, signal.SIGKILL)
        await asyncio.sleep(_BACKOFF_S[min(item.quick_deaths, len(_BACKOFF_S) - 1)])
        status = item.child.returncode
        item.child, item.since, item.reviving = spawn(item.service.program()), time.monotonic(), False
        self._publish()
        self._child_ended.set()  # it may have ended before `reviving` was taken back
        why = signal.Signals(-status).name if status < 0 else f"status {status}"
        stamp = time.strftime("%H:%M:%S")
        self._report.say(f"{stamp} {item.service.name} ended ({why}); started again as {item.child.pid}")

    def _publish(self) -> None:
        pids = {name: item.child.pid for name, item in self._running.items()}
        seats = {name: Seat.of(pid) for name, pid in pids.items()}
        Roster(supervisor=Seat.of(os.getpid()), children=seats).write(self._var)
        if self._ready:
            self._changed({**pids, "supervisor": os.getpid()})

    async def _end(self) -> None:
        for stage in reversed(self._stages):
            names = [item.name for item in stage if isinstance(item, Service) and item.name in self._running]
            await asyncio.gather(*(stop(self._running[name].service, self._running[name].child) for name in names))
            for name in names:
                del self._running[name]
        deadline = time.monotonic() + 5
        while (left := descendants(os.getpid())) and time.monotonic() < deadline:
            for pid in left:
                send(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)
        reap_orphans(set())
