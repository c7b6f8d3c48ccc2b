"""The state file: one JSON line a change, so that a restarted simulator still knows what a platform would know.

Not a database: written as things happen, read once at the start, rewritten short by `compact`. Called by state.py only.
A line torn by a kill is left out; nothing is fsynced, since only the process is expected to die.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import orjson

from simulator.records import Json


class Journal:
    """Where changes are written; without a path, nowhere."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)

    def write(self, kind: str, channel: str, value: object) -> None:
        """Append one change."""
        if self._file is not None:
            self._file.write(_line(kind, channel, value))

    def read(self) -> Iterator[tuple[str, str, Json]]:
        """Yield what was written: kind, channel, value."""
        if self._path is None:
            return
        for line in self._path.read_bytes().splitlines():
            with contextlib.suppress(orjson.JSONDecodeError, KeyError):
                entry = cast("Json", orjson.loads(line))
                yield str(entry["k"]), str(entry["c"]), cast("Json", entry["v"])

    def compact(self, entries: Iterable[tuple[str, str, object]]) -> None:
        """Replace the file by these entries, at once."""
        if self._path is None or self._file is None:
            return
        new = self._path.with_suffix(".new")
        new.write_bytes(b"".join(_line(*entry) for entry in entries))
        self._file.close()
        new.replace(self._path)
        self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _line(kind: str, channel: str, value: object) -> bytes:
    return orjson.dumps({"k": kind, "c": channel, "v": value}, option=orjson.OPT_APPEND_NEWLINE)
