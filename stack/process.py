"""Child processes: each in its own process group, ending with its parent, logging to a file; and what /proc tells.

On Linux a child also dies when the supervisor is killed with -9, and orphans come back to the supervisor, so that
`down` leaves no process. Elsewhere process groups alone do the work.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.paths import ROOT

LINUX: Final = sys.platform == "linux"
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None) if LINUX else None


@dataclass(frozen=True, slots=True)
class Program:
    """How one process is started and ended.

    `death_signal` is what the kernel sends it when the supervisor dies; `stop_signal` asks it to end, and after
    `grace_s` it is killed.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    cwd: Path = ROOT
    uid: int | None = None
    gid: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    grace_s: float = 10.0


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start a process in its own group, with nothing of ours but its standard streams.

    Must be called on the main thread: the kernel watches the thread that made the child, not the whole process.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(program.death_signal), 0, 0, 0)
            if os.getppid() != parent:  # it was killed between the fork and the line above
                os._exit(1)

    handle = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "ab") as log:
        return subprocess.Popen(
            program.argv,
            env=dict(program.env),
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=program.uid,
            group=program.gid,
            extra_groups=[] if program.uid is not None else None,
            process_group=0,
            # Runs after the change of user, which would clear the death signal.
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
        )


def adopt_orphans() -> None:
    """Have orphaned grandchildren become our children instead of init's, so that we can end them."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_time(pid: int) -> str | None:
    """Return when a process started (a token to compare, no unit), None where there is none: ids are reused."""
    if LINUX:
        fields = _stat(pid)
        return fields[19] if fields and fields[0] != "Z" else None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the third one, the state, on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def descendants(pid: int) -> list[int]:
    """Return the processes below this one, children before their own children; ended ones excluded."""
    if not LINUX:
        return []
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdecimal() else None
        if fields and fields[0] != "Z":
            below.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        children = below.get(queue.pop(0), [])
        found += children
        queue += children
    return found


def reap_orphans(own: set[int]) -> None:
    """Take the exit status of adopted orphans, leaving our own children to whoever waits for them."""
    if not LINUX:
        return
    me = str(os.getpid())
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) not in own:
            fields = _stat(int(entry.name))
            if fields and fields[0] == "Z" and fields[1] == me:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(int(entry.name), os.WNOHANG)


def send(pid: int, number: signal.Signals) -> bool:
    """Signal a process; False where it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def send_group(pid: int, number: signal.Signals) -> None:
    """Signal a process and whatever is left of its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def same(pid: int, started: str) -> bool:
    """Whether this process id still belongs to the process that started then."""
    return start_time(pid) == started


def tail(log: Path, lines: int = 12) -> str:
    """Return the end of a log file, for a person who must find out why a process ended."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
