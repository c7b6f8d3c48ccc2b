"""Ports of a stack: chosen once, kept in var/ports.json, replaced only where somebody else took them meanwhile."""

from __future__ import annotations

import json
import socket
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
    """The ports of one stack by name; asking twice gives the same one."""

    def __init__(self, var: VarDir) -> None:
        self._var = var
        self._kept: dict[str, int] = {}
        self._picked: dict[str, int] = {}
        if var.ports.is_file():
            self._kept = _FILE.validate_json(var.ports.read_bytes())

    def pick(self, name: str, *, preferred: int | None = None, host: str = "127.0.0.1") -> int:
        """Return the kept port if it is free, else the preferred one, else any; and keep it."""
        if name in self._picked:
            return self._picked[name]
        wanted = [self._kept.get(name, 0), PREFERRED.get(name, 0) if preferred is None else preferred]
        free = (port for port in wanted if port and port not in self._picked.values() and is_free(port, host))
        port = next(free, None) or self._other(host)
        self._picked[name] = port
        if self._kept.get(name) != port:
            self._kept[name] = port
            write_private(self._var.ports, json.dumps(self._kept, indent=2))
        return port

    def _other(self, host: str) -> int:
        port = any_free(host)
        while port in self._picked.values() or port in PREFERRED.values():
            port = any_free(host)
        return port
