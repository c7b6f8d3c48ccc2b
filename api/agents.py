"""AI agents: which there are, what they are told and may do, and which of their tools wait for a person's word."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from activities.tools import TOOLS
from adapters.models import provider_names
from api.deps import Desk, Principal, allow
from api.envelope import done
from api.openapi import shows
from db import agents
from db.agents import AgentChange
from domain.agent_view import AgentDetailView, AgentSettings, AgentStatus, AgentView, ToolView
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/ai/agents", tags=["agents"])

Reader = Annotated[Principal, allow(Permission.AGENTS_READ)]
Manager = Annotated[Principal, allow(Permission.AGENTS_MANAGE)]
SHOWN = shows("Agent", agent=AgentDetailView)


def _tools(names: list[str] | None) -> list[str] | None:
    unknown = sorted(set(names or ()) - TOOLS.keys())
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; there are {', '.join(TOOLS)}")
    return None if names is None else list(dict.fromkeys(names))


def _provider(name: str | None) -> str | None:
    if name is not None and name not in provider_names():
        raise ValueError(f"there are {', '.join(provider_names())}")
    return name


def _settings(settings: AgentSettings | None) -> AgentSettings | None:
    _tools(settings.approve_tools if settings else None)
    return settings


class AgentFields(BaseModel):
    """What may be said of an agent."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(None, min_length=1, max_length=255)
    status: AgentStatus | None = None
    provider: Annotated[str | None, AfterValidator(_provider)] = None
    model: str | None = Field(None, min_length=1, max_length=255)
    system_prompt: str | None = Field(None, max_length=100_000)
    tools: Annotated[list[str] | None, AfterValidator(_tools)] = None
    settings: Annotated[AgentSettings | None, AfterValidator(_settings)] = None

    def wanted(self) -> AgentChange:
        """Return what was given; of the settings those that were named."""
        given = self.settings.model_dump(mode="json", exclude_unset=True) if self.settings else None
        return AgentChange(
            self.name, self.status, self.provider, self.model, self.system_prompt, self.tools, settings=given
        )


class NewAgentFields(AgentFields):
    """A new agent needs a name, a provider and a model; its `slug` is made of its name when none is given."""

    name: str = Field(min_length=1, max_length=255)  # pyright: ignore[reportIncompatibleVariableOverride] - required
    provider: Annotated[str, AfterValidator(_provider)] = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    model: str = Field(min_length=1, max_length=255)  # pyright: ignore[reportIncompatibleVariableOverride] - required
    slug: str | None = Field(None, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)


class AgentBody(BaseModel):
    """A change of an agent."""

    model_config = ConfigDict(extra="forbid")
    agent: AgentFields


class NewAgentBody(BaseModel):
    """A new agent."""

    model_config = ConfigDict(extra="forbid")
    agent: NewAgentFields


@router.get("", summary="List agents", responses=shows("Agents", items=list[AgentView]))
async def listing(desk: Desk, caller: Reader) -> dict[str, Any]:
    """All agents of the account, by name; `id` is what a channel's `default_agent_id` takes."""
    async with desk.db.account(caller.account_id) as conn:
        return done(items=await agents.listing(conn))


@router.post(
    "", status_code=201, summary="Create an agent", responses=shows("AgentCreated", 201, agent=AgentDetailView)
)
async def create(body: NewAgentBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """409 when the slug is taken."""
    fields = body.agent
    slug = fields.slug or re.sub(r"[^a-z0-9]+", "-", fields.name.lower()).strip("-")[:100].strip("-") or "agent"
    async with desk.db.account(caller.account_id) as conn:
        agent = await agents.create(conn, slug, fields.wanted())
        aggregate = await agents.announce(conn, caller.account_id, agent)
    desk.dispatcher.notify(aggregate)
    return done(agent=agent)


@router.get("/tools", summary="List tools", responses=shows("Tools", items=list[ToolView]))
async def tools(caller: Reader) -> dict[str, Any]:
    """What an agent's `tools` and `approve_tools` may name."""
    return done(items=[ToolView(name=name, description=it.description, risky=it.risky) for name, it in TOOLS.items()])


@router.get("/{agent_id}", summary="Show an agent", responses=SHOWN)
async def show(agent_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """With its system prompt and settings."""
    async with desk.db.account(caller.account_id) as conn:
        return done(agent=await agents.get(conn, agent_id))


@router.patch("/{agent_id}", summary="Change an agent", responses=SHOWN)
async def change(agent_id: UUID, body: AgentBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Changes what is given. Settings are merged with those that are set, null removes one. Holds from its next turn on."""
    async with desk.db.account(caller.account_id) as conn:
        agent = await agents.change(conn, agent_id, body.agent.wanted())
        aggregate = await agents.announce(conn, caller.account_id, agent)
    desk.dispatcher.notify(aggregate)
    return done(agent=agent)
