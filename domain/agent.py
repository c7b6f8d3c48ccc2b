"""An AI agent's turn in plain shapes: what a model is asked, what it streams back, and the limits of a turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Who speaks in a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class TurnStatus(StrEnum):
    """Outcome of a turn; a `superseded` one was interrupted and its reply is never recorded."""

    RUNNING = "running"
    COMPLETED = "completed"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    SKIPPED = "skipped"


class ApprovalStatus(StrEnum):
    """Where a tool call stands that may only run with a person's word; everything but `pending` is final."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to run a tool; `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a model request. `tool_calls` only on assistant, `tool_call_id` only on tool messages."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request to a model."""

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a request has cost, as the provider counts them."""

    input_tokens: int = 0
    output_tokens: int = 0


ModelEvent = TextDelta | ToolCall | Usage
"""What a model streams: any number of deltas and tool calls, then its usage."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Caps of one turn; reaching one ends it with a visible reason. `approve_tools`: run only with a person's word."""

    max_model_requests: int = 8
    max_tokens: int = 32_000
    max_wall_s: int = 600
    approve_tools: frozenset[str] = frozenset()
