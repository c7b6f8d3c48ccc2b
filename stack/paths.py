"""Where a stack keeps what: data, logs, secrets and its state, all under one folder (POWERNODE_VAR_DIR).

Not a place for what several checkouts share; that is the cache folder of temporal_binary.py.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
"""The repository: programs are started there."""


@dataclass(frozen=True, slots=True)
class VarDir:
    """The folder of one stack. Another folder is another stack."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> VarDir:
        """Return the folder, made if it is not there; relative paths count from the repository, not the caller."""
        root = (path if path.is_absolute() else ROOT / path).resolve()
        if not root.is_dir():
            root.mkdir(parents=True)
            root.chmod(0o700)
        # Postgres refuses to run as root, so its own user must be able to walk through: search, not read.
        mode = root.stat().st_mode & 0o7777
        if os.geteuid() == 0 and not mode & 0o001:
            root.chmod(mode | 0o011)
        (root / "log").mkdir(mode=0o700, exist_ok=True)
        return cls(root)

    @property
    def state(self) -> Path:
        """What other programs read: addresses, the demo login, process ids."""
        return self.root / "stack.json"

    @property
    def keys(self) -> Path:
        """The secrets, made once."""
        return self.root / "secrets.json"

    @property
    def ports(self) -> Path:
        """The ports chosen at the first start."""
        return self.root / "ports.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.root / "stack.lock"

    @property
    def owner(self) -> Path:
        """Which processes run here, each with its start time, so that a reused process id is never signalled."""
        return self.root / "supervisor.json"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.root / "log" / f"{name}.log"

    def data(self, name: str) -> Path:
        """Return the data folder of a service, made if it is not there."""
        folder = self.root / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only: a reader sees the old text or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
