"""How a start is told: to a person on a terminal, or through a pipe to the command that waits for a detached one."""

from __future__ import annotations

import json
import os
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


class Report(Protocol):
    """What the supervisor says. A step is known by its title."""

    def begin(self, title: str) -> None:
        """A step has begun."""
        ...

    def note(self, title: str, text: str) -> None:
        """A step takes long, and this is why."""
        ...

    def done(self, title: str, detail: str) -> None:
        """A step is done."""
        ...

    def fail(self, title: str, text: str) -> None:
        """A step failed."""
        ...

    def ready(self) -> None:
        """All steps are done."""
        ...

    def say(self, text: str) -> None:
        """Something happened later on: a restart."""
        ...


class TerminalReport:
    """A line per step, turning while it runs; plain lines where the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps: dict[str, tuple[str, str]] = {}
        self._spinners: dict[str, Spinner] = {}
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=12, get_renderable=self._table, transient=False)
            self._live.start()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for title, (mark, detail) in self._steps.items():
            sign = self._spinners[title] if mark == "…" else Text(mark, style="green" if mark == "✓" else "red")
            table.add_row(sign, title, Text(detail, style="dim"))
        return table

    def _put(self, title: str, mark: str, detail: str) -> None:
        self._spinners.setdefault(title, Spinner("dots"))
        self._steps[title] = (mark, detail)
        if self._live is None and (mark != "…" or detail):
            self._console.print(f"{mark} {title}  {detail}".rstrip(), markup=False, highlight=False)

    def begin(self, title: str) -> None:
        """Show the step with a spinner."""
        self._put(title, "…", "")

    def note(self, title: str, text: str) -> None:
        """Show why it takes long."""
        self._put(title, "…", text)

    def done(self, title: str, detail: str) -> None:
        """Tick the step."""
        self._put(title, "✓", detail)

    def fail(self, title: str, text: str) -> None:
        """Cross the step and say why."""
        self._put(title, "✗", "")
        self.stop()
        self._console.print(Text(text, style="red"))

    def ready(self) -> None:
        """Leave the steps as they stand."""
        self.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(Text(text, style="dim"))

    def stop(self) -> None:
        """Stop drawing."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class PipeReport:
    """Each call as one JSON line `[name, *texts]`; nobody listening any more is no error."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    def _send(self, *parts: str) -> None:
        if self._handle is None:
            return
        try:
            os.write(self._handle, (json.dumps(parts) + "\n").encode())
        except BrokenPipeError:
            self.close()

    def begin(self, title: str) -> None:
        """Pass it on."""
        self._send("begin", title)

    def note(self, title: str, text: str) -> None:
        """Pass it on."""
        self._send("note", title, text)

    def done(self, title: str, detail: str) -> None:
        """Pass it on."""
        self._send("done", title, detail)

    def fail(self, title: str, text: str) -> None:
        """Pass it on, the last word."""
        self._send("fail", title, text)
        self.close()

    def ready(self) -> None:
        """Pass it on, the last word: the waiting command returns."""
        self._send("ready")
        self.close()

    def say(self, text: str) -> None:
        """Nobody waits any more: it goes to the supervisor's log."""
        Console(stderr=True).print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Let the waiting command see the end."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def replay(line: str, report: Report) -> str:
    """Repeat one line of a PipeReport to another report; return the call's name."""
    name, *texts = [str(part) for part in json.loads(line)]
    match name, texts:
        case "begin", [title]:
            report.begin(title)
        case "note", [title, text]:
            report.note(title, text)
        case "done", [title, text]:
            report.done(title, text)
        case "fail", [title, text]:
            report.fail(title, text)
        case "ready", []:
            report.ready()
        case _:
            raise ValueError(f"not a report: {name}")
    return name
