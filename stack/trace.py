"""`powernode trace`: one message's story as the running api tells it, and where Temporal's UI tells the rest.

The story itself is made by db/traces.py; this module only lays it out.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

import httpx2
from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError

from config import StackSettings
from domain.views import MessageView, TracedTurnView, TracedWebhookView, TraceView
from domain.work import delivery_workflow_id, response_workflow_id
from stack.api_client import ApiClient, RefusedError
from stack.service import StartError
from stack.state import StackState, running

_NOT_RUNNING: Final = 3
_NOT_FOUND: Final = 404
_GOOD: Final = frozenset({"recorded", "completed", "sent", "delivered", "read"})
_BAD: Final = frozenset({"failed", "dead", "unknown", "quarantined", "error"})


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table. `at` is None where only the order is known."""

    at: datetime | None
    what: str
    status: str
    detail: str = ""


async def read(state: StackState, trace_id: str) -> TraceView:
    """Ask the api. Raises RefusedError where it knows nothing of it."""
    async with ApiClient(state) as api:
        data = await api.call("GET", f"/api/v1/traces/{quote(trace_id, safe='')}")
    return TraceView.model_validate(data["trace"])


async def links(state: StackState, story: TraceView) -> list[str]:
    """Return the UI's pages of the workflows that took part: the session's, and those of turns and deliveries that had
    one of their own. Without an answer from Temporal, the sessions' only.
    """
    if state.temporal_ui_url is None:
        return []
    ids = [response_workflow_id(str(one.id)) for one in story.messages if one.direction == "inbound"]
    ids += [delivery_workflow_id(str(one.id)) for one in story.messages if one.direction == "outbound"]
    found = [*story.workflow_ids, *await _existing(state, ids)]
    return [f"{state.temporal_ui_url}/namespaces/{state.temporal_namespace}/workflows/{one}" for one in found]


async def _existing(state: StackState, ids: list[str]) -> list[str]:
    try:
        client = await Client.connect(state.temporal_address, namespace=state.temporal_namespace)
    except (RPCError, RuntimeError):
        return []
    return [workflow_id for workflow_id in ids if await _exists(client, workflow_id)]


async def _exists(client: Client, workflow_id: str) -> bool:
    try:
        await client.get_workflow_handle(workflow_id).describe()
    except RPCError:
        return False
    return True


def lines(story: TraceView) -> list[Line]:
    """Return the story in the order in which it happened."""
    found = [line for webhook in story.webhooks for line in _webhook(webhook)]
    for kind in ("inbound", "outbound"):
        if kind == "outbound":
            found += [line for turn in story.turns for line in _turn(turn)]
        found += [line for one in story.messages if one.direction == kind for line in _message(one)]
    found += [
        Line(one.created_at, f"outbox {one.kind}", "waiting", f"{one.name} {one.aggregate}") for one in story.waiting
    ]
    return found


def _webhook(webhook: TracedWebhookView) -> Iterator[Line]:
    yield Line(webhook.received_at, "webhook", webhook.outcome, webhook.reason or "")
    for item in webhook.items:
        yield Line(None, "  item", item.state, " ".join(filter(None, (item.kind, item.dedup_key, item.reason))))


def _turn(turn: TracedTurnView) -> Iterator[Line]:
    tokens = f"{turn.input_tokens} + {turn.output_tokens} tokens"
    yield Line(turn.created_at, "turn", turn.status, ", ".join(filter(None, (turn.agent, tokens, turn.reason))))
    for step in turn.steps:
        yield Line(step.created_at, f"  step {step.step}", step.kind, step.name)
    if turn.finished_at is not None:
        yield Line(turn.finished_at, "  turn ended", turn.status)


def _message(message: MessageView) -> Iterator[Line]:
    named = "message" if message.direction == "inbound" else "reply"
    number = f"arrival {message.arrival_no}, " if message.arrival_no is not None else ""
    yield Line(message.created_at, named, message.delivery_status, f"{number}{message.id}")
    for part in message.delivery_detail:
        refusal = " ".join(filter(None, (part.error_code, part.error)))
        accepted = f"the platform's id {part.platform_message_id}" if part.platform_message_id else ""
        attempts = f"{part.attempts} attempt{'' if part.attempts == 1 else 's'}"
        yield Line(None, f"  part {part.part}", part.status, ", ".join(filter(None, (attempts, accepted, refusal))))
    for status in ("sent", "delivered", "read"):
        at: datetime | None = getattr(message, f"{status}_at")
        if at is not None and message.direction == "outbound":
            yield Line(at, f"  {status}", "")


def _style(status: str) -> str:
    return "green" if status in _GOOD else "red" if status in _BAD else ""


def table(story: TraceView) -> Table:
    """Lay the story out, with the time of its first event and the milliseconds since then."""
    rows = lines(story)
    begun = min((row.at for row in rows if row.at is not None), default=None)
    shown = Table("ms", "what", "status", "detail", box=None, pad_edge=False, header_style="dim")
    shown.title = f"trace {story.trace_id}" + (f", {begun.isoformat(timespec='milliseconds')}" if begun else "")
    shown.title_justify = "left"
    shown.columns[0].justify = "right"
    for row in rows:
        since = f"{(row.at - begun).total_seconds() * 1000:.0f}" if row.at is not None and begun is not None else ""
        shown.add_row(since, Text(row.what), Text(row.status, style=_style(row.status)), Text(row.detail, "dim"))
    return shown


async def _tell(state: StackState, trace_id: str) -> tuple[TraceView, list[str]]:
    story = await read(state, trace_id)
    return story, await links(state, story)


def show(settings: StackSettings, trace_id: str, *, as_json: bool) -> int:
    """Print the story; 0 when there is one, 1 when nothing is known or nobody answers, 3 when nothing runs here."""
    state = running(settings.var_dir)
    if state is None:
        return _NOT_RUNNING
    try:
        story, pages = asyncio.run(_tell(state, trace_id))
    except RefusedError as error:
        unknown = error.status == _NOT_FOUND
        sys.stderr.write(f"nothing is known under the trace id {trace_id!r}\n" if unknown else f"{error}\n")
        return 1
    except (httpx2.HTTPError, StartError) as error:
        sys.stderr.write(f"the api does not answer: {error}\n")
        return 1
    if as_json:
        sys.stdout.write(json.dumps({"trace": story.model_dump(mode="json"), "links": pages}, indent=2) + "\n")
        return 0
    console = Console()
    console.print(table(story))
    for page in pages:
        console.print(page, soft_wrap=True, highlight=False)
    return 0
