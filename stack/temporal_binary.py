"""Finds the Temporal dev server's executable, or gets one: a download and a build race, the first to work is kept.

Uses the standard library only, so that `python3 stack/temporal_binary.py` can run before any package is installed
(the Makefile and CI start it first, since the build takes minutes). Prints the path. Not used where TEMPORAL_ADDRESS
names a server.
"""

from __future__ import annotations

import fcntl
import io
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

VERSION: Final = "v1.5.1"
"""The newest tag that `go install` accepts: later ones replace a module by an unpublished one."""
MODULE: Final = f"github.com/temporalio/cli/cmd/temporal@{VERSION}"
DOWNLOAD_ORIGIN: Final = "https://temporal.download"
DOWNLOAD_LIMIT_S: Final = 20.0
OLDEST_GO: Final = (1, 25)

Report = Callable[[str], None]


class TemporalUnavailableError(RuntimeError):
    """No executable and no way to get one; the message says what a person can do."""


def cache_dir() -> Path:
    """Return the folder for executables that several checkouts share."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "powernode" / "bin"


def works(path: Path) -> bool:
    """Whether this file is a Temporal command-line tool that runs on this machine."""
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.startswith("temporal version")


def locate(cache: Path | None = None) -> Path | None:
    """Return an executable that is already here: on PATH, else in the cache."""
    found = shutil.which("temporal")
    if found and works(Path(found)):
        return Path(found)
    kept = (cache or cache_dir()) / "temporal"
    return kept if kept.is_file() and works(kept) else None


def obtain(report: Report, cache: Path | None = None, origin: str = DOWNLOAD_ORIGIN) -> Path:
    """Return an executable, getting one if there is none. Raises TemporalUnavailableError.

    Idempotent by a lock on the cache folder: of two callers the second waits and finds what the first one got.
    """
    found = locate(cache)
    if found:
        return found
    folder = cache or cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / ".temporal.lock", report):
        found = locate(cache)
        if found:
            return found
        staging = Path(tempfile.mkdtemp(prefix=".temporal-", dir=folder))
        try:
            return _race(staging, folder / "temporal", report, origin)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _locked(path: Path, report: Report) -> Generator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another process is getting the Temporal server; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _race(staging: Path, target: Path, report: Report, origin: str) -> Path:
    reasons: list[str] = []
    download = _Download(staging / "download", origin)
    download.start()
    build = _start_build(staging, report, reasons)
    try:
        while download.is_alive() or (build is not None and build.poll() is None):
            won = download.result() or _built(build, staging)
            if won:
                return _keep(won, target)
            time.sleep(0.1)
        won = download.result() or _built(build, staging)
        if won:
            return _keep(won, target)
    finally:
        _stop(build)
    reasons.append(f"download: {download.failure}")
    if build is not None:
        reasons.append(f"build: {_tail(staging / 'build.log')}")
    raise TemporalUnavailableError(
        "No Temporal server could be had (" + "; ".join(reasons) + "). Put a `temporal` executable on PATH, "
        f"install Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer, or set TEMPORAL_ADDRESS to a running server."
    )


def _keep(won: Path, target: Path) -> Path:
    won.chmod(0o755)
    won.replace(target)
    return target


class _Download(threading.Thread):
    """The vendor's archive for this platform, within its time limit; a network that cannot reach it is common."""

    def __init__(self, folder: Path, origin: str) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._origin = origin
        self._path: Path | None = None
        self.failure = ""

    def result(self) -> Path | None:
        return None if self.is_alive() else self._path

    def run(self) -> None:
        try:
            path = self._fetch(time.monotonic() + DOWNLOAD_LIMIT_S)
            if works(path):
                self._path = path
            else:
                self.failure = "what came does not run here"
        except (OSError, tarfile.TarError, KeyError, ValueError) as error:
            self.failure = str(error) or type(error).__name__

    def _fetch(self, deadline: float) -> Path:
        system = {"Linux": "linux", "Darwin": "darwin"}[platform.system()]
        machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
        url = f"{self._origin}/cli/archive/{VERSION}?platform={system}&arch={machine}"
        body = io.BytesIO()
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the origin is ours
            while chunk := answer.read(1 << 20):
                body.write(chunk)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not finished within {DOWNLOAD_LIMIT_S:.0f} s")
        body.seek(0)
        self._folder.mkdir()
        with tarfile.open(fileobj=body, mode="r:gz") as archive:
            source = archive.extractfile("temporal")
            if source is None:
                raise ValueError("the archive holds no executable")
            path = self._folder / "temporal"
            with path.open("wb") as target:
                shutil.copyfileobj(source, target)
        path.chmod(0o755)
        return path


def go_version(text: str) -> tuple[int, int] | None:
    """Return (major, minor) of `go version`'s answer, None where it is not one."""
    match = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _start_build(staging: Path, report: Report, reasons: list[str]) -> subprocess.Popen[bytes] | None:
    go = shutil.which("go")
    if go is None:
        reasons.append("build: no Go on PATH")
        return None
    answer = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    version = go_version(answer)
    if version is None or version < OLDEST_GO:
        reasons.append(f"build: {answer.strip() or 'Go'} is older than {OLDEST_GO[0]}.{OLDEST_GO[1]}")
        report(reasons[-1])
        return None
    report("building the Temporal server with Go (about 3 minutes on 2 cores, once per machine)")
    with (staging / "build.log").open("wb") as log:
        return subprocess.Popen(
            [go, "install", "-ldflags=-s -w", MODULE],
            env={**os.environ, "GOBIN": str(staging / "built")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _built(build: subprocess.Popen[bytes] | None, staging: Path) -> Path | None:
    if build is None or build.poll() != 0:
        return None
    path = staging / "built" / "temporal"
    return path if works(path) else None


def _stop(build: subprocess.Popen[bytes] | None) -> None:
    if build is not None and build.poll() is None:
        os.killpg(build.pid, signal.SIGTERM)
        build.wait()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Print the path of an executable; 1 with the reasons on standard error if there is none."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that a build it started ends as well
    try:
        path = obtain(lambda line: _say(f"temporal: {line}"))
    except TemporalUnavailableError as error:
        _say(str(error))
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
