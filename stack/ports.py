"""Ports of a stack: chosen once, kept in var/ports.json, replaced only where somebody else took them meanwhile.

Between the choice and the moment when the process listens, seconds pass; so a chosen port is also reserved by a file lock
that every stack of this user looks at, or two stacks that start together would choose the same one.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from stack.paths import VarDir, write_private

PREFERRED: Final = {
    "api": 8000,
    "temporal": 7233,
    "temporal_ui": 8233,
    "simulator": 8090,
    "postgres": 15432,
    "valkey": 16379,
}
_FILE: Final = TypeAdapter(dict[str, int])


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Ports:
    """The ports of one stack by name; asking twice gives the same one. Reserved until `release` or the process's end."""

    def __init__(self, var: VarDir) -> None:
        self._var = var
        self._kept: dict[str, int] = {}
        self._picked: dict[str, int] = {}
        self._reserved: list[int] = []
        if var.ports.is_file():
            self._kept = _FILE.validate_json(var.ports.read_bytes())

    def pick(self, name: str, *, preferred: int | None = None, host: str = "127.0.0.1") -> int:
        """Return the kept port if it is free, else the preferred one, else any; and keep it."""
        if name in self._picked:
            return self._picked[name]
        wanted = [self._kept.get(name, 0), PREFERRED.get(name, 0) if preferred is None else preferred]
        port = next((port for port in wanted if port and self._take(port, host)), None) or self._other(host)
        self._picked[name] = port
        if self._kept.get(name) != port:
            self._kept[name] = port
            write_private(self._var.ports, json.dumps(self._kept, indent=2))
        return port

    def release(self) -> None:
        """Give up the reservations; the processes that listen hold their ports themselves."""
        while self._reserved:
            os.close(self._reserved.pop())

    def _take(self, port: int, host: str) -> bool:
        return is_free(port, host) and self._reserve(port)

    def _other(self, host: str) -> int:
        port = any_free(host)
        while port in PREFERRED.values() or not self._take(port, host):
            port = any_free(host)
        return port

    def _reserve(self, port: int) -> bool:
        folder = Path(tempfile.gettempdir()) / f"powernode-ports-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._reserved.append(handle)
        return True
