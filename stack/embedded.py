"""Postgres, Valkey and Temporal together, without supervision: for tests and benchmarks.

    async with EmbeddedServices(folder) as urls: ...

As a program, `python -m stack.embedded --var-dir DIR --parent PID`, it writes DIR/embedded.json when all are ready and
runs until it is told to end or the parent is gone, so that whoever started it leaves nothing running, however it ends.
The supervisor of `make up` is supervisor.py.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from stack.keys import StackKeys
from stack.paths import VarDir, write_private
from stack.ports import Ports
from stack.postgres import APP, OWNER, SUPERUSER, Postgres
from stack.process import LINUX
from stack.service import Service, start, stop
from stack.temporal import Temporal, TemporalPorts
from stack.valkey import Valkey


@dataclass(frozen=True, slots=True)
class StackUrls:
    """Addresses of running services. `database_admin_url` is the superuser's, on the database `postgres`."""

    database_url: str
    database_owner_url: str
    database_admin_url: str
    redis_url: str
    temporal_address: str
    temporal_namespace: str
    pids: dict[str, int]

    @classmethod
    def read(cls, path: Path) -> StackUrls:
        """Return what a running `python -m stack.embedded` wrote."""
        return TypeAdapter(StackUrls).validate_json(path.read_bytes())


class EmbeddedServices:
    """The three services on free ports, in one folder. Not durable by default: made for data that is thrown away."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._var = VarDir.at(folder)
        keys, ports = StackKeys.keep(self._var), Ports(self._var)
        self._ports = ports
        self.postgres = Postgres(self._var, keys, ports.pick("postgres", preferred=0), durable=durable)
        self.valkey = Valkey(self._var, keys, ports.pick("valkey", preferred=0))
        self.temporal = Temporal(
            self._var,
            TemporalPorts(ports.pick("temporal", preferred=0), ports.pick("temporal_http", preferred=0), ui=None),
        )
        self._children: list[tuple[Service, subprocess.Popen[bytes]]] = []

    async def __aenter__(self) -> StackUrls:
        """Start all three at once. Raises StartError, with those that had started ended again."""
        services: tuple[Service, ...] = (self.postgres, self.valkey, self.temporal)
        results = await asyncio.gather(*(start(service) for service in services), return_exceptions=True)
        failures: list[BaseException] = []
        for service, result in zip(services, results, strict=True):
            if isinstance(result, BaseException):
                failures.append(result)
            else:
                self._children.append((service, result))
        if failures:
            await self.__aexit__()
            raise failures[0]
        return StackUrls(
            database_url=self.postgres.url(APP),
            database_owner_url=self.postgres.url(OWNER),
            database_admin_url=self.postgres.url(SUPERUSER, "postgres"),
            redis_url=self.valkey.url(),
            temporal_address=self.temporal.address,
            temporal_namespace="default",
            pids={service.name: child.pid for service, child in self._children},
        )

    async def __aexit__(self, *_error: object) -> None:
        """End them."""
        await asyncio.gather(*(stop(service, child) for service, child in self._children))
        self._children.clear()
        self._ports.release()

    def forget(self) -> Self:
        """Remove the data; only after the services ended."""
        from stack.reset import wipe

        wipe(self._var)
        return self


async def _serve(folder: Path, parent: int) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    watch = os.pidfd_open(parent) if parent and LINUX else None
    if watch is not None:
        loop.add_reader(watch, over.set)
    services = EmbeddedServices(folder)
    async with services as urls:
        write_private(folder / "embedded.json", TypeAdapter(StackUrls).dump_json(urls).decode())
        await over.wait()
    if watch is not None:
        loop.remove_reader(watch)
    services.forget()


def main() -> int:
    """Run until told to end; 1 with the reason on standard error when a service does not start."""
    parser = argparse.ArgumentParser(prog="python -m stack.embedded")
    parser.add_argument("--var-dir", type=Path, required=True)
    parser.add_argument("--parent", type=int, default=0, help="end when this process is gone")
    options = parser.parse_args()
    asyncio.run(_serve(options.var_dir, options.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
