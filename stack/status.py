"""`powernode status`: which processes of the stack run, how its parts answer, and what needs a person."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, cast

import httpx2
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config import StackSettings
from stack.api_client import ApiClient
from stack.paths import VarDir
from stack.process import start_time
from stack.service import StartError
from stack.state import StackState

_SHOWN: Final = 5
_NOT_RUNNING: Final = 3


class _Health(BaseModel):
    """`data` of GET /api/v1/health, which is also the body of its 503."""

    model_config = ConfigDict(extra="ignore")

    status: str
    parts: dict[str, bool] = {}
    outbox: dict[str, float] | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: _Health


@dataclass(frozen=True, slots=True)
class Matter:
    """Something a person should look at. `reference` finds it again: a trace id, or the message's."""

    kind: str
    at: str
    reason: str
    reference: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a stack stands. `parts` is empty where the api does not answer; `matters` are the newest of `waiting`."""

    status: str
    processes: dict[str, int]
    ended: list[str]
    parts: dict[str, bool] = field(default_factory=dict[str, bool])
    outbox: dict[str, float] = field(default_factory=dict[str, float])
    waiting: dict[str, int] = field(default_factory=dict[str, int])
    matters: list[Matter] = field(default_factory=list[Matter])


async def read(state: StackState) -> Standing:
    """Ask every part."""
    ended = [name for name, pid in state.pids.items() if start_time(pid) is None]
    try:
        async with ApiClient(state) as api:
            answer = await api.http.get(f"{state.api_url}/api/v1/health")
            health = _Answer.model_validate(answer.json()).data
            set_aside = await _matters(api, "quarantined")
            troubled = await _matters(api, "troubled")
    except (httpx2.HTTPError, StartError, ValueError) as error:
        return Standing(f"the api does not answer: {error}", state.pids, ended)
    waiting = {"quarantined": set_aside[0], "troubled": troubled[0]}
    return Standing(
        health.status, state.pids, ended, health.parts, health.outbox or {}, waiting, [*set_aside[1], *troubled[1]]
    )


async def _matters(api: ApiClient, kind: str) -> tuple[int, list[Matter]]:
    data = await api.call("GET", f"/api/v1/chat/{kind}?per_page={_SHOWN}")
    items = cast("list[Mapping[str, object]]", data["items"])
    total = cast("Mapping[str, int]", data["pagination"])["total_count"]
    shown = [_matter(kind, item) for item in items]
    return total, shown


def _matter(kind: str, item: Mapping[str, object]) -> Matter:
    if kind == "quarantined":
        return Matter(kind, str(item["received_at"]), str(item["reason"]), str(item["trace_id"]))
    reason = f"{item['status']}: {item['error'] or item['error_code'] or 'no answer'}"
    return Matter(kind, str(item["created_at"]), reason, str(item["message_id"]))


def _processes(standing: Standing) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, pid in standing.processes.items():
        ended = name in standing.ended
        table.add_row(name, Text("ended" if ended else "runs", style="red" if ended else "green"), f"pid {pid}")
    for name, answers in standing.parts.items():
        if not answers:
            table.add_row(name, Text("does not answer", style="red"))
    waiting = int(standing.outbox.get("waiting", 0))
    if waiting:
        table.add_row("outbox", f"{waiting} waiting", f"oldest {standing.outbox.get('oldest_age_s', 0)} s")
    return table


def _for_a_person(standing: Standing) -> list[Text]:
    titles = {"quarantined": "webhooks set aside", "troubled": "parts not delivered, or perhaps not"}
    lines: list[Text] = []
    for kind, count in standing.waiting.items():
        if count:
            lines.append(Text(f"{titles[kind]}: {count}", style="yellow"))
        shown = [matter for matter in standing.matters if matter.kind == kind]
        lines += [Text(f"  {matter.at}  {matter.reason}  {matter.reference}") for matter in shown]
    return lines


def show(settings: StackSettings, *, as_json: bool) -> int:
    """Print how things stand; 0 when all is well, 1 when not, 3 when nothing runs here."""
    state = StackState.read(VarDir.at(settings.var_dir))
    if state is None:
        sys.stderr.write("Nothing runs here; start it with `make up`\n")
        return _NOT_RUNNING
    standing = asyncio.run(read(state))
    if as_json:
        sys.stdout.write(json.dumps(asdict(standing), indent=2) + "\n")
    else:
        console = Console()
        console.print(_processes(standing))
        for line in _for_a_person(standing):
            console.print(line, soft_wrap=True)
        console.print(Text(f"{state.api_url}  {standing.status}", style="bold"))
    return 0 if standing.status == "ok" and not standing.ended else 1
