"""Turns and their steps: what an agent is shown, what each model request and tool call led to.

A step is written once under (turn_id, step); whoever comes second finds the first one's result (ONCE-IN). Called by
activities/agent.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.agent import ChatMessage, Role
from domain.sanitize import USER_END, USER_START, strip_markers
from domain.session import CONTEXT_MESSAGES

_BEGIN: Final = text(
    """
    WITH s AS (
        SELECT s.id, s.owner, s.status, s.ai_conversation_id, COALESCE(s.assigned_agent_id, c.default_agent_id) AS agent_id,
            c.configuration
        FROM chat_sessions s JOIN chat_channels c ON c.id = s.channel_id WHERE s.id = :session_id
    ), t AS (
        INSERT INTO turns AS t (id, account_id, conversation_id, session_id, agent_id, message_ids, trace_id)
        SELECT :turn_id, app_account(), s.ai_conversation_id, s.id, s.agent_id, :message_ids, :trace_id FROM s
        ON CONFLICT (id) DO UPDATE SET trace_id = t.trace_id RETURNING t.status
    )
    SELECT s.owner, s.status AS session_status, s.ai_conversation_id, s.configuration, t.status AS turn_status,
        c.conversation_id AS public_id, a.id AS agent_id, a.name, a.provider, a.model, a.system_prompt, a.tools,
        a.settings, a.status AS agent_status
    FROM s CROSS JOIN t JOIN ai_conversations c ON c.id = s.ai_conversation_id
    LEFT JOIN ai_agents a ON a.id = s.agent_id
    """
).columns(settings=JSONB, configuration=JSONB)
_STEPS: Final = text(
    "SELECT step, kind, name, request, response, input_tokens, output_tokens FROM turn_steps"
    " WHERE turn_id = :turn_id ORDER BY step"
).columns(request=JSONB, response=JSONB)
_SAVE: Final = text(
    """
    INSERT INTO turn_steps (account_id, turn_id, step, kind, name, request, response, input_tokens, output_tokens)
    VALUES (app_account(), :turn_id, :step, :kind, :name, CAST(:request AS jsonb), CAST(:response AS jsonb),
        :input_tokens, :output_tokens)
    ON CONFLICT (turn_id, step) DO NOTHING RETURNING step
    """
)
# What an earlier turn answered (or nobody will) comes before what this turn answers; a message that still waits for
# its own turn is not shown yet.
_CONTEXT: Final = text(
    """
    SELECT x.role, x.content FROM (
        (SELECT 0 AS now, a.role, a.content, a.sequence_number AS position, '' AS order_key FROM ai_messages a
         WHERE a.conversation_id = :conversation_id AND a.deleted_at IS NULL AND a.role IN ('user', 'assistant')
           AND NOT EXISTS (
               SELECT 1 FROM chat_messages m WHERE m.ai_message_id = a.id AND m.direction = 'inbound'
                 AND (m.handled_at IS NULL OR m.id = ANY(:message_ids)))
         ORDER BY a.sequence_number DESC LIMIT :limit)
        UNION ALL
        SELECT 1, 'user', m.content, m.arrival_no, m.order_key FROM chat_messages m WHERE m.id = ANY(:message_ids)
    ) x ORDER BY x.now, x.order_key, x.position
    """
)
_FINISH: Final = text(
    "UPDATE turns SET status = :status, reason = :reason, finished_at = now() WHERE id = :turn_id AND status = 'running'"
)


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
class OpenTurn:
    """A turn that may go on. `agent` is None, or `skip` gives the reason, when there is nothing to be answered by AI."""

    conversation_id: UUID
    public_id: str
    agent: AgentRow | None
    configuration: dict[str, Any]
    skip: str | None


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


def _skip_reason(row: Any) -> str | None:
    if row.turn_status != "running":
        return f"the turn is {row.turn_status}"
    if row.owner != "ai":
        return "a human has the session"
    if row.session_status == "blocked":
        return "the session is blocked"
    if row.agent_id is None or row.agent_status != "active":
        return "no active agent is assigned"
    return None


async def begin(
    conn: AsyncConnection, turn_id: UUID, session_id: UUID, message_ids: list[UUID], trace_id: str
) -> OpenTurn:
    """Open a turn, or find it again. Idempotent by `turn_id`."""
    row = (
        await conn.execute(
            _BEGIN,
            {"turn_id": turn_id, "session_id": session_id, "message_ids": message_ids, "trace_id": trace_id},
        )
    ).one()
    agent = None
    if row.agent_id is not None:
        agent = AgentRow(
            row.agent_id, row.name, row.provider, row.model, row.system_prompt, tuple(row.tools), row.settings
        )
    return OpenTurn(row.ai_conversation_id, row.public_id, agent, row.configuration, _skip_reason(row))


async def load_steps(conn: AsyncConnection, turn_id: UUID) -> list[StepRow]:
    """Return a turn's steps in order."""
    return [StepRow(*row) for row in await conn.execute(_STEPS, {"turn_id": turn_id})]


async def save_step(conn: AsyncConnection, turn_id: UUID, step: StepRow) -> bool:
    """Store a step; False when it was stored before, which then stands."""
    saved = await conn.execute(
        _SAVE,
        {
            "turn_id": turn_id,
            "step": step.step,
            "kind": step.kind,
            "name": step.name,
            "request": orjson.dumps(step.request).decode(),
            "response": orjson.dumps(step.response).decode(),
            "input_tokens": step.input_tokens,
            "output_tokens": step.output_tokens,
        },
    )
    return saved.one_or_none() is not None


async def finish(conn: AsyncConnection, turn_id: UUID, status: str, reason: str | None = None) -> None:
    """End a turn that has no recorded reply: `superseded`, `skipped` or `failed`."""
    await conn.execute(_FINISH, {"turn_id": turn_id, "status": status, "reason": reason})


def wrap_user_text(content: str, nonce: str) -> str:
    """Wrap what a person wrote in delimiters with a nonce that they cannot know (design §8)."""
    start, end = USER_START[:-1], USER_END[:-1]
    return f"{start} {nonce}]\n{strip_markers(content).strip()}\n{end} {nonce}]"


async def load_context(
    conn: AsyncConnection, conversation_id: UUID, message_ids: list[UUID], nonce: str
) -> list[ChatMessage]:
    """Return what the agent is shown: the newest messages, oldest first, the ones to be answered last."""
    found = await conn.execute(
        _CONTEXT, {"conversation_id": conversation_id, "message_ids": message_ids, "limit": CONTEXT_MESSAGES}
    )
    return [
        ChatMessage(Role.USER, wrap_user_text(row.content, nonce))
        if row.role == "user"
        else ChatMessage(Role.ASSISTANT, row.content)
        for row in found
    ]
