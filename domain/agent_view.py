"""An AI agent as an administrator sees and sets it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from domain.views import View


class AgentStatus(StrEnum):
    """Only an `active` agent answers."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PAUSED = "paused"
    ERROR = "error"
    ARCHIVED = "archived"


class AgentSettings(BaseModel):
    """How an agent works; what is null is left to the default. Holds from an agent's next turn on."""

    model_config = ConfigDict(extra="forbid")
    temperature: float | None = Field(None, ge=0, le=2)
    max_output_tokens: int | None = Field(None, ge=1, le=1_000_000, description="Of one model request")
    max_model_requests: int | None = Field(None, ge=1, le=64, description="Of one turn; 8 by default")
    max_tokens: int | None = Field(None, ge=1, le=10_000_000, description="Of one turn, in and out; 32,000 by default")
    approve_tools: list[str] | None = Field(
        None, max_length=100, description="Tools that run with a person's word only"
    )
    approval_timeout_s: float | None = Field(None, ge=1, le=86_400, description="How long that is waited for; 900 s")


class AgentView(View):
    """An AI agent in a list."""

    id: UUID
    name: str
    slug: str
    agent_type: str
    status: AgentStatus
    provider: str
    model: str
    tools: list[str]
    created_at: datetime
    updated_at: datetime
    version: int


class AgentDetailView(AgentView):
    """An AI agent with what it is told and how it works. `settings`: those that were set."""

    system_prompt: str
    settings: AgentSettings


class ToolView(View):
    """A tool that an agent can be given. `risky`: it waits for a person's word with every agent."""

    name: str
    description: str
    risky: bool
