"""`powernode status`: which processes of the stack run, how its parts answer, and what needs a person."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass

import httpx2
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config import StackSettings
from stack.paths import VarDir
from stack.process import start_time
from stack.state import StackState

_LIMIT_S = 8.0


class _Health(BaseModel):
    """`data` of GET /api/v1/health."""

    model_config = ConfigDict(extra="ignore")

    status: str
    parts: dict[str, bool] = {}
    outbox: dict[str, float] | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: _Health


@dataclass(frozen=True, slots=True)
class Standing:
    """How a stack stands. `parts` is empty where the api does not answer."""

    status: str
    processes: dict[str, int]
    ended: list[str]
    parts: dict[str, bool]
    outbox: dict[str, float]


async def _health(state: StackState) -> _Health:
    try:
        async with httpx2.AsyncClient(timeout=_LIMIT_S, trust_env=False) as http:
            answer = await http.get(f"{state.api_url}/api/v1/health")
            return _Answer.model_validate(answer.json()).data
    except (httpx2.HTTPError, ValueError):
        return _Health(status="the api does not answer")


async def read(state: StackState) -> Standing:
    """Ask every part."""
    health = await _health(state)
    ended = [name for name, pid in state.pids.items() if start_time(pid) is None]
    return Standing(health.status, state.pids, ended, health.parts, health.outbox or {})


def _table(standing: Standing) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, pid in standing.processes.items():
        part = standing.parts.get({"valkey": "redis", "api": "status"}.get(name, name))
        mark = Text("ended", style="red") if name in standing.ended else Text("runs", style="green")
        table.add_row(name, mark, f"pid {pid}", Text("does not answer", style="red") if part is False else "")
    for name, answers in standing.parts.items():
        if name not in standing.processes and not (name == "redis" and "valkey" in standing.processes):
            table.add_row(name, Text("answers", style="green") if answers else Text("does not answer", style="red"))
    waiting = int(standing.outbox.get("waiting", 0))
    if waiting:
        table.add_row("outbox", f"{waiting} waiting", f"oldest {standing.outbox.get('oldest_age_s', 0)} s")
    return table


def show(settings: StackSettings, *, as_json: bool) -> int:
    """Print how things stand; 0 when all is well, 1 when not, 3 when nothing runs here."""
    state = StackState.read(VarDir.at(settings.var_dir))
    if state is None:
        sys.stderr.write("Nothing runs here; start it with `make up`\n")
        return 3
    standing = asyncio.run(read(state))
    if as_json:
        sys.stdout.write(json.dumps(asdict(standing), indent=2) + "\n")
    else:
        console = Console()
        console.print(_table(standing))
        console.print(Text(f"{state.api_url}  {standing.status}", style="bold"))
    return 0 if standing.status == "ok" and not standing.ended else 1
