"""`powernode down` and `powernode reset`: end a stack wherever it was started from; wipe what it kept."""

from __future__ import annotations

from config import StackSettings
from stack.ownership import is_owned, owning
from stack.paths import VarDir
from stack.reset import wipe


def down(settings: StackSettings) -> bool:
    """End the stack of this folder and wait until no process is left; whether there was one."""
    var = VarDir.at(settings.var_dir)
    ran = is_owned(var)
    with owning(var):
        var.state.unlink(missing_ok=True)
    return ran


def reset(settings: StackSettings) -> None:
    """End the stack and remove its databases, logs and secrets."""
    var = VarDir.at(settings.var_dir)
    with owning(var):
        wipe(var)
