"""Who runs a stack: one supervisor per var folder, found again by lock and by process id with start time.

A process id alone proves nothing, since ids are reused; the start time beside it does. Used by up, down and reset.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from stack.paths import VarDir, write_private
from stack.process import same, send, send_group, start_time

_STOP_LIMIT_S: Final = 45.0
_KILL_LIMIT_S: Final = 10.0


class Seat(BaseModel):
    """One process, told apart from a later one with the same id."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the seat of a process that runs now (an ended one never matches again)."""
        return cls(pid=pid, started=start_time(pid) or "ended")

    def lives(self) -> bool:
        """Whether that very process still runs."""
        return same(self.pid, self.started)


class Roster(BaseModel):
    """The supervisor and its children by name, in var/supervisor.json."""

    supervisor: Seat
    children: dict[str, Seat] = {}

    @classmethod
    def read(cls, var: VarDir) -> Self | None:
        """Return what the last supervisor wrote."""
        try:
            return cls.model_validate_json(var.owner.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, var: VarDir) -> None:
        """Replace the file."""
        write_private(var.owner, self.model_dump_json())


@contextmanager
def owning(var: VarDir) -> Generator[None]:
    """Be the only one who runs or removes this stack; whoever did before is asked to stop, and its leftovers are ended.

    Raises TimeoutError where the previous owner does not let go.
    """
    handle = os.open(var.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try(handle):
            _stop_previous(var, handle)
        end_leftovers(var)
        try:
            yield
        finally:
            var.owner.unlink(missing_ok=True)
    finally:
        os.close(handle)  # gives up the lock


def is_owned(var: VarDir) -> bool:
    """Whether a supervisor runs this stack now."""
    if not var.lock.is_file():
        return False
    handle = os.open(var.lock, os.O_RDWR)
    try:
        return not _try(handle)
    finally:
        os.close(handle)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop_previous(var: VarDir, handle: int) -> None:
    """Ask, then kill; returns when the lock is ours and the process itself is gone."""
    for number, limit_s in ((signal.SIGTERM, _STOP_LIMIT_S), (signal.SIGKILL, _KILL_LIMIT_S)):
        roster = Roster.read(var)
        if roster and roster.supervisor.lives():
            send(roster.supervisor.pid, number)
        if _within(limit_s, lambda: _try(handle)):
            _within(_KILL_LIMIT_S, lambda: roster is None or not roster.supervisor.lives())  # noqa: B023 - called at once
            return
    raise TimeoutError(f"another process holds {var.lock} and does not let go")


def _within(limit_s: float, question: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.02)
    return False


def end_leftovers(var: VarDir) -> None:
    """End children that outlived their supervisor, which only happens where the kernel cannot tell them of its death."""
    roster = Roster.read(var)
    seats = [seat for seat in roster.children.values() if seat.lives()] if roster else []
    for number, limit_s in ((signal.SIGINT, 5.0), (signal.SIGKILL, 5.0)):
        for seat in seats:
            if seat.lives():
                send_group(seat.pid, number)
        if _within(limit_s, lambda: not any(seat.lives() for seat in seats)):
            return
