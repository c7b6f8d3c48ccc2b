"""Our own processes as services of a stack: the api, the worker and the simulator, on the addresses of this stack."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from stack.paths import ROOT, VarDir
from stack.process import Program
from stack.service import Service, http_status

if TYPE_CHECKING:
    from db.session import Database


@dataclass(frozen=True, slots=True)
class Launch:
    """What all of our processes share."""

    var: VarDir
    env: Mapping[str, str]


class PythonService(Service):
    """A process of ours: `argv` is what follows the interpreter."""

    def __init__(self, launch: Launch, name: str, argv: tuple[str, ...], grace_s: float = 10.0) -> None:
        self._launch = launch
        self._argv = argv
        self._grace_s = grace_s
        self.name = name
        self.title = name.upper() if name == "api" else name.capitalize()

    def program(self) -> Program:
        """Return the interpreter that runs us, with the stack's environment."""
        return Program(
            name=self.name,
            argv=(sys.executable, *self._argv),
            env=self._launch.env,
            log=self._launch.var.log(self.name),
            grace_s=self._grace_s,
        )


class HttpService(PythonService):
    """Ready when its address answers with success."""

    def __init__(self, launch: Launch, name: str, argv: tuple[str, ...], *, ready_url: str) -> None:
        super().__init__(launch, name, argv)
        self._ready_url = ready_url
        self.port = urlsplit(ready_url).port or 0

    async def probe(self, pid: int) -> bool:
        """Whether the address answers well."""
        return 0 < await http_status(self._ready_url) < 300


class WorkerService(PythonService):
    """Ready when its own sign of life is in the database."""

    def __init__(self, launch: Launch, argv: tuple[str, ...], database_url: str) -> None:
        super().__init__(launch, "worker", argv, grace_s=15.0)
        self._database_url = database_url
        self._database: Database | None = None

    async def probe(self, pid: int) -> bool:
        """Whether a heartbeat of exactly this process is there."""
        from db import heartbeats
        from db.session import Database
        from domain.errors import UnavailableError

        self._database = self._database or Database(self._database_url, pool_size=1)
        try:
            async with self._database.open() as conn:
                return any(name.endswith(f":{pid}") for name in await heartbeats.live_queues(conn))
        except UnavailableError:
            return False

    async def settle(self) -> None:
        """Close the connection that the probe used."""
        if self._database is not None:
            await self._database.close()
            self._database = None


API: Final = (str(ROOT / "cli.py"), "api")
WORKER: Final = (str(ROOT / "worker.py"),)


def api(launch: Launch, url: str) -> Service:
    """Return the api, ready when it can accept a webhook."""
    return HttpService(launch, "api", API, ready_url=f"{url}/readyz")


def worker(launch: Launch, database_url: str) -> Service:
    """Return a worker that serves the configured queues."""
    return WorkerService(launch, WORKER, database_url)


def simulator(launch: Launch, port: int) -> Service:
    """Return the simulator, with a memory that survives its restarts."""
    state = str(launch.var.data("simulator") / "state.json")
    argv = ("-m", "simulator", "--host", "127.0.0.1", "--port", str(port), "--state-file", state)
    return HttpService(launch, "simulator", argv, ready_url=f"http://127.0.0.1:{port}/_sim/health")


def inherited() -> dict[str, str]:
    """Return our environment as a start for our processes: proxies, time zone, model settings."""
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
