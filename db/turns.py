"""Turns and their steps: what an agent is shown, what each model request and tool call led to.

A step is written once under (turn_id, step); whoever comes second finds the first one's result (ONCE-IN). Called by
activities/agent.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.session import Database
from domain.agent import ChatMessage, Role
from domain.budget import BudgetPeriod, used_up
from domain.sanitize import USER_END, USER_START, strip_markers
from domain.session import CONTEXT_MESSAGES

_BEGIN: Final = "SELECT flow.begin_turn($1, $2, $3, $4, $5, $6, $7, $8)"
_STEPS: Final = "SELECT flow.load_steps($1, $2)"
_SAVE: Final = "SELECT flow.save_step($1, $2, $3)"
_FINISH: Final = text(
    "UPDATE turns SET status = :status, reason = :reason, finished_at = now() WHERE id = :turn_id AND status = 'running'"
)
_RELEASE: Final = text("SELECT flow.release_budget(app_account(), :turn_id)")


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as a turn needs it."""

    id: UUID
    name: str
    provider: str
    model: str
    system_prompt: str
    tools: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which turn to open, for what. `step`: the model request to be made next; `with_steps`: it may have been begun before."""

    turn_id: UUID
    session_id: UUID
    message_ids: list[UUID]
    trace_id: str
    step: int
    with_steps: bool


@dataclass(frozen=True, slots=True)
class StepRow:
    """A stored step. `response` of a model step: `{text, tool_calls}`; of a tool step: `{result, terminal}`."""

    step: int
    kind: str
    name: str
    request: dict[str, Any]
    response: dict[str, Any]
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn that may go on. `agent` is None, or `skip` gives the reason, when there is nothing to be answered by AI.

    `said`: (role, content) of what the agent is shown, oldest first, what is to be answered last; `steps`: the turn's own
    earlier steps, when they were asked for. `refused`: which budget is used up; `reserved`: the tokens that are set aside
    for the next model request, None where no budget applies.
    """

    public_id: str
    agent: AgentRow | None
    configuration: dict[str, Any]
    skip: str | None
    said: list[tuple[str, str]]
    steps: list[StepRow]
    refused: str | None = None
    reserved: int | None = None


def _skip_reason(found: dict[str, Any]) -> str | None:
    agent = found["agent"]
    if found["turn_status"] != "running":
        return f"the turn is {found['turn_status']}"
    if found["owner"] != "ai":
        return "a human has the session"
    if found["session_status"] == "blocked":
        return "the session is blocked"
    if agent is None or agent["status"] != "active":
        return "no active agent is assigned"
    return None


def _agent(found: dict[str, Any]) -> AgentRow:
    return AgentRow(
        UUID(found["id"]),
        found["name"],
        found["provider"],
        found["model"],
        found["system_prompt"],
        tuple(found["tools"]),
        found["settings"],
    )


async def begin(db: Database, account_id: UUID, wanted: Wanted) -> OpenTurn:
    """Open a turn, or find it again, with all that its next model request needs. Idempotent by `turn_id`."""
    row = await db.call(
        _BEGIN,
        account_id,
        wanted.turn_id,
        wanted.session_id,
        wanted.message_ids,
        wanted.trace_id,
        wanted.with_steps,
        CONTEXT_MESSAGES,
        wanted.step,
    )
    found: dict[str, Any] | None = row[0] if row else None
    if found is None:
        return OpenTurn("", None, {}, "the session is gone", [], [])
    budget: dict[str, Any] = found.get("budget") or {}
    return OpenTurn(
        found["public_id"],
        _agent(found["agent"]) if found["agent"] else None,
        found["configuration"],
        _skip_reason(found),
        [(role, content) for role, content in found["context"]],
        [StepRow(*step) for step in found["steps"]],
        used_up(budget["scope"], BudgetPeriod(budget["period"])) if "scope" in budget else None,
        budget.get("tokens"),
    )


async def load_steps(db: Database, account_id: UUID, turn_id: UUID) -> list[StepRow]:
    """Return a turn's steps in order."""
    row = await db.call(_STEPS, account_id, turn_id)
    return [StepRow(*step) for step in row[0]] if row else []


async def save_step(db: Database, account_id: UUID, turn_id: UUID, step: StepRow) -> StepRow:
    """Store a step and return what stands: the one that was stored before, if there is one."""
    saved = await db.call(_SAVE, account_id, turn_id, asdict(step))
    if saved is not None and saved[0]:
        return step
    return next(one for one in await load_steps(db, account_id, turn_id) if one.step == step.step)


async def finish(conn: AsyncConnection, turn_id: UUID, status: str, reason: str | None = None) -> None:
    """End a turn that has no recorded reply: `superseded`, `skipped` or `failed`."""
    await conn.execute(_FINISH, {"turn_id": turn_id, "status": status, "reason": reason})
    await conn.execute(_RELEASE, {"turn_id": turn_id})


def wrap_user_text(content: str, nonce: str) -> str:
    """Wrap what a person wrote in delimiters with a nonce that they cannot know (design §8)."""
    start, end = USER_START[:-1], USER_END[:-1]
    return f"{start} {nonce}]\n{strip_markers(content).strip()}\n{end} {nonce}]"


def shown(said: Sequence[tuple[str, str]], nonce: str) -> list[ChatMessage]:
    """Return what the agent is shown, with what people wrote wrapped."""
    return [
        ChatMessage(Role.USER, wrap_user_text(content, nonce))
        if role == "user"
        else ChatMessage(Role.ASSISTANT, content)
        for role, content in said
    ]
