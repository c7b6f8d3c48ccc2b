"""The embedded services of one test run: started by the first test that asks, shared by all xdist workers, and ended by
the controller. They also end by themselves when the controller is gone. Called by conftest.py only.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stack.embedded import StackUrls
from stack.paths import ROOT

_FOLDER: Final = "PYTEST_STACK_FOLDER"
_OWNER: Final = "PYTEST_STACK_OWNER"
_children: list[subprocess.Popen[bytes]] = []
"""Kept, so that the one worker that started the services does not warn of a process it forgot."""


def announce() -> None:
    """Give this run its folder. Called by the controller before it starts its workers, which inherit the variables."""
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="powernode-tests-")
    os.environ[_OWNER] = str(os.getpid())


@contextmanager
def locked(name: str) -> Generator[Path]:
    """Hold a lock that all workers of this run share; yields the run's folder."""
    folder = Path(os.environ[_FOLDER])
    with (folder / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder


def once(name: str, work: Callable[[], None]) -> None:
    """Do something once per run, whichever worker comes first."""
    with locked(name) as folder:
        if not (folder / f"{name}.done").exists():
            work()
            (folder / f"{name}.done").touch()


def services() -> StackUrls:
    """Return the addresses of this run's services, starting them if nobody did."""
    with locked("services") as folder:
        ready = folder / "var" / "embedded.json"
        if not ready.exists():
            _start(folder, ready)
        return StackUrls.read(ready)


def _start(folder: Path, ready: Path) -> None:
    folder.chmod(0o711)  # Postgres's own user walks through
    log = folder / "services.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "stack.embedded", "--var-dir", str(ready.parent), "--parent", os.environ[_OWNER]],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _children.append(child)
    (folder / "pid").write_text(str(child.pid), encoding="utf-8")
    while not ready.exists():
        if child.poll() is not None:
            raise RuntimeError(f"the embedded services did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.02)


def end() -> None:
    """Stop the services and remove the folder. Called by the controller when all workers are done."""
    folder = Path(os.environ[_FOLDER])
    pid_file = folder / "pid"
    if pid_file.exists():
        _end_process(int(pid_file.read_text(encoding="utf-8")))
    shutil.rmtree(folder, ignore_errors=True)


def _end_process(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], 30)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
