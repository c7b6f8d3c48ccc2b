"""`powernode up`: take over the var folder, start the stack, show what a person needs; stay, or go to the background."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from config import StackSettings
from stack import plan
from stack.ownership import owning
from stack.paths import ROOT, VarDir
from stack.report import Report, TerminalReport, replay
from stack.service import StartError
from stack.state import StackState
from stack.supervisor import Supervisor

COMMAND: Final = ".venv/bin/powernode"
_FAILED: Final = 1
_INTERRUPTED: Final = 130


def run(settings: StackSettings, report: Report, programs: plan.Programs = plan.powernode_programs) -> int:
    """Run a stack in this process until it is told to stop; return the exit status.

    Whoever ran this folder's stack before is stopped first.
    """
    var = VarDir.at(settings.var_dir)
    try:
        with owning(var):
            try:
                return asyncio.run(_supervise(settings, var, report, programs))
            finally:
                var.state.unlink(missing_ok=True)
    except (TimeoutError, StartError) as error:
        report.fail("Start", str(error))
        return _FAILED


async def _supervise(settings: StackSettings, var: VarDir, report: Report, programs: plan.Programs) -> int:
    made = plan.make(settings, var, programs)

    def changed(pids: dict[str, int]) -> None:
        made.state.model_copy(update={"pids": pids}).write(var)

    try:
        await Supervisor(var, made.stages, report, changed).run()
    except StartError:  # the report has told it
        return _FAILED
    finally:
        made.ports.release()
    return 0


class _ScreenReport(TerminalReport):
    """Ends a complete start with the screen of addresses."""

    def __init__(self, console: Console, var: VarDir, last_line: str) -> None:
        super().__init__(console)
        self._var = var
        self._last_line = last_line

    def ready(self) -> None:
        """Show where everything is."""
        super().ready()
        state = StackState.read(self._var)
        if state is not None:
            self._console.print(screen(state, self._last_line))


def screen(state: StackState, last_line: str) -> Panel:
    """Return the few lines that a person needs after a start."""
    rows = Table.grid(padding=(0, 2))
    for name, value in {
        "API": f"{state.api_url}/docs",
        "Temporal UI": state.temporal_ui_url or state.temporal_address,
        "Login": f"{state.admin.email}  {state.admin.password}",
        "Try": next(
            (f'{COMMAND} say --platform {name} --as alice "hello"' for name in state.demo_channels), f"{COMMAND} status"
        ),
        "": last_line,
    }.items():
        rows.add_row(Text(name, style="bold"), Text(value, style="" if name else "dim"))
    return Panel(rows, title="Powernode is ready", title_align="left", border_style="green", expand=False)


def foreground(settings: StackSettings) -> int:
    """Start and stay; Ctrl-C ends everything."""
    var = VarDir.at(settings.var_dir)
    return run(settings, _ScreenReport(Console(), var, f"Ctrl-C stops everything; logs in {var.root / 'log'}"))


def detached(settings: StackSettings) -> int:
    """Start in the background and return when all is ready, or with what went wrong."""
    var = VarDir.at(settings.var_dir)
    report = _ScreenReport(Console(), var, f"`make down` stops everything; logs in {var.root / 'log'}")
    reader, writer = os.pipe()
    with var.log("supervisor").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "stack.daemon", "--report", str(writer)],
            cwd=ROOT,
            env={**os.environ, "POWERNODE_VAR_DIR": str(var.root)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writer],
            start_new_session=True,
        )
    os.close(writer)
    try:
        with os.fdopen(reader, encoding="utf-8") as lines:
            last = [replay(line, report) for line in lines][-1:]
    except KeyboardInterrupt:
        report.stop()
        child.terminate()
        child.wait()
        return _INTERRUPTED
    if last == ["ready"]:
        return 0
    report.stop()
    return child.wait() or _FAILED
