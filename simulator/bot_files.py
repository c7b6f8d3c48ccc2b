"""Files that bots send: held in memory, read back by `GET /_sim/files/{id}`. Not in the state file: a restart forgets the bytes.

People's: files.py. A shown message names its file as `{id, name, mime, size, url}` (phone.py).
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass

from simulator.records import Json


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file of a request, as it came."""

    name: str
    mime: str
    content: bytes


class BotFiles:
    """All files that the bots of one simulator sent."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._files: dict[str, GivenFile] = {}

    def keep(self, given: GivenFile, prefix: str = "file") -> Json:
        """Hold a file and return what a message says of it; its id cannot be guessed, as the platforms' cannot."""
        made = f"{prefix}{next(self._numbers)}{hashlib.sha256(given.content).hexdigest()[:10]}"
        self._files[made] = given
        size = len(given.content)
        return {"id": made, "name": given.name, "mime": given.mime, "size": size, "url": f"/_sim/files/{made}"}

    def get(self, file_id: str) -> GivenFile | None:
        """Return a held file."""
        return self._files.get(file_id)
