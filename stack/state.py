"""var/stack.json: what people and programs may know of a running stack. Mode 0600, since it holds passwords.

Written by the supervisor only, replaced at once at every change; read by the commands of `powernode` and by users' tests.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from stack.paths import VarDir, write_private


class Admin(BaseModel):
    """The demo login."""

    model_config = ConfigDict(frozen=True)

    email: str
    password: str


class DemoChannel(BaseModel):
    """A channel that points at the simulator."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    webhook_url: str


class StackState(BaseModel):
    """One running stack: addresses, login, channels and process ids by name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_url: str
    cable_url: str
    temporal_address: str
    temporal_namespace: str
    temporal_ui_url: str | None
    database_url: str
    database_owner_url: str
    redis_url: str
    simulated: list[str] = []
    """The platforms that the simulator plays; the others are the real ones."""
    simulator_url: str | None
    admin: Admin
    demo_channels: dict[str, DemoChannel] = {}
    pids: dict[str, int] = {}

    @classmethod
    def read(cls, var: VarDir | Path) -> Self | None:
        """Return the state of the stack in this folder, None where none has started."""
        path = var.state if isinstance(var, VarDir) else var / "stack.json"
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, var: VarDir) -> None:
        """Replace stack.json."""
        write_private(var.state, self.model_dump_json(indent=2) + "\n")


def running(var_dir: Path) -> StackState | None:
    """Return the stack that runs in a folder; None where none does, which is said to whoever called the command."""
    state = StackState.read(VarDir.at(var_dir))
    if state is None:
        sys.stderr.write("nothing runs here; start it with `make up`\n")
    return state
