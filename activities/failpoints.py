"""Named points at which a test can kill or stop the process: `POWERNODE_FAILPOINT=name=kill`, `name=stop`.

Faults at named points find what faults at random times miss, and repeat (ruling 24). Off unless the setting names
the point; then the process does it once.
"""

from __future__ import annotations

import os
import signal


class Failpoints:
    """What the setting asked for. `at` costs a dictionary look-up when nothing is set."""

    def __init__(self, setting: str | None = None) -> None:
        self._armed: dict[str, str] = {}
        for entry in filter(None, (setting or "").split(",")):
            name, _, action = entry.partition("=")
            action = action or "kill"
            if action not in {"kill", "stop"}:
                raise ValueError(f"POWERNODE_FAILPOINT: {entry!r} is not name=kill or name=stop")
            self._armed[name] = action

    def at(self, name: str) -> None:
        """Die or stop here when this point is armed."""
        action = self._armed.pop(name, None) if self._armed else None
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
