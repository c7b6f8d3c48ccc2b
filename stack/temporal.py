"""Embedded Temporal: the dev server on a file, with the settings that take its 50 ms steps away.

For one person's machine and for tests, not for production. Not used where TEMPORAL_ADDRESS names a server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack import temporal_binary
from stack.paths import VarDir
from stack.process import Program
from stack.service import Service, StartError, http_status

SEARCH_ATTRIBUTES: Final = ("AccountId", "ChannelId", "SessionId", "Platform", "TraceId")
DYNAMIC_CONFIG: Final = {
    # The default of 20 polls a second puts 50 ms between every two tasks of a single-shard server.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
    "history.outboundProcessorMaxPollRPS": "2000",
    # With four partitions on one host, tasks can wait 2 s on one that nobody polls.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # The first activity of a workflow task is handed to the same worker in the reply.
    "system.enableActivityEagerExecution": "true",
}


@dataclass(frozen=True, slots=True)
class TemporalPorts:
    """gRPC for everybody, HTTP for the readiness probe, and the UI's (None: no UI)."""

    grpc: int
    http: int
    ui: int | None


class Temporal(Service):
    """A dev server on loopback, its UI beside it."""

    name = "temporal"
    title = "Temporal"
    start_limit_s = 60.0

    def __init__(self, var: VarDir, ports: TemporalPorts, namespace: str = "default") -> None:
        self._var = var
        self._namespace = namespace
        self._binary: Path | None = None
        self._ports = ports
        self.port = ports.grpc

    @property
    def address(self) -> str:
        """The frontend's host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """The UI's origin."""
        return f"http://127.0.0.1:{self._ports.ui}" if self._ports.ui else None

    async def prepare(self) -> None:
        """Find or get the executable. Raises StartError."""
        self._binary = await asyncio.to_thread(temporal_binary.locate) or await self._get()

    async def _get(self) -> Path:
        """Get it in a process of its own, which can be stopped; a thread in the middle of a build could not."""
        asked = await asyncio.create_subprocess_exec(
            *(sys.executable, str(Path(temporal_binary.__file__))),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        if asked.stdout is None or asked.stderr is None:
            raise StartError("no pipes")
        line = ""
        try:
            async for raw in asked.stderr:
                line = raw.decode(errors="replace").strip()
                self.say(line.removeprefix("temporal: "))
            path = (await asked.stdout.read()).decode().strip()
            if await asked.wait():
                raise StartError(line)
        finally:
            if asked.returncode is None:
                asked.terminate()
                await asked.wait()
        return Path(path)

    def program(self) -> Program:
        """Return the server with its flags; write-ahead logging without an fsync per change survives kill -9."""
        if self._binary is None:
            raise StartError("prepare() comes first")
        argv = [str(self._binary), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port)]
        argv += ["--http-port", str(self._ports.http)]
        argv += ["--db-filename", str(self._var.data(self.name) / "temporal.db")]
        argv += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
        argv += ["--ui-port", str(self._ports.ui)] if self._ports.ui else ["--headless"]
        argv += ["--log-level", "warn", "--namespace", self._namespace]
        argv += [part for pair in DYNAMIC_CONFIG.items() for part in ("--dynamic-config-value", "=".join(pair))]
        argv += [part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")]
        return Program(
            name=self.name,
            argv=tuple(argv),
            env=_environment(),
            log=self._var.log(self.name),
            cwd=self._var.data(self.name),
            grace_s=10,
        )

    async def probe(self, pid: int) -> bool:
        """Whether the frontend answers for our namespace; its ports open a little earlier than that."""
        return await http_status(f"http://127.0.0.1:{self._ports.http}/api/v1/namespaces/{self._namespace}") == 200


def _environment() -> dict[str, str]:
    """Nothing of TEMPORAL_*: the tool would take addresses and keys of another server from there."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")}
