"""Removes what a stack keeps, and only that: the folder may be one that a person also uses for something else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from stack.paths import VarDir

_FILES: Final = (
    "stack.json", "secrets.json", "ports.json", "stack.lock", "supervisor.json", "embedded.json", "simulator.json",
)  # fmt: skip
_FOLDERS: Final = ("log", "postgres", "valkey", "temporal", "simulator")


def wipe(var: VarDir) -> None:
    """Remove databases, logs, secrets and state. Nothing of the stack may run."""
    elsewhere = var.root / "postgres.path"
    if elsewhere.is_file():
        shutil.rmtree(Path(elsewhere.read_text(encoding="utf-8")), ignore_errors=True)
        elsewhere.unlink()
    for name in _FOLDERS:
        shutil.rmtree(var.root / name, ignore_errors=True)
    for name in _FILES:
        (var.root / name).unlink(missing_ok=True)
    if var.root.is_dir() and not any(var.root.iterdir()):
        var.root.rmdir()
