"""AiAgentExecutionChannel: one execution of an agent, and how its agent stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.errors import NotFoundError
from domain.events.runs import execution_stream
from domain.permissions import Permission
from domain.run_views import AgentExecutionView, AgentStandingView
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet, say
from realtime.identity import Identity


class Params(BaseModel):
    """Which execution, by its public id or its id."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    execution_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class Nothing(BaseModel):
    """No data."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class WhichAgent(BaseModel):
    """An agent of the account; none given: the execution's own."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    agent_id: UUID | None = None


async def _execution(caller: Caller[Params]) -> AgentExecutionView:
    key = caller.params.execution_id
    found = await caller.resources.find(AgentExecutionView, caller.identity.account_id, key)
    if found is None:
        raise NotFoundError("This execution is gone")
    return found


async def _request_status(caller: Caller[Params], _data: Nothing) -> None:
    say(caller, "execution_status", execution=await _execution(caller))


async def _request_agent_status(caller: Caller[Params], data: WhichAgent) -> None:
    agent_id = data.agent_id or (await _execution(caller)).agent_id
    found = await caller.resources.find(AgentStandingView, caller.identity.account_id, str(agent_id))
    if found is None:
        raise NotFoundError("No such agent")
    say(caller, "agent_status", **found.model_dump(mode="json"))


@register
class AiAgentExecutionChannel(Channel[Params]):
    """Stream `ai_agent_execution:{execution_id}`, the public id."""

    name = "AiAgentExecutionChannel"
    params = Params
    permission = Permission.AGENTS_READ
    actions = (
        Action("request_status", Nothing, Permission.AGENTS_READ, _request_status),
        Action("request_agent_status", WhichAgent, Permission.AGENTS_READ, _request_agent_status),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Any execution of the caller's account."""
        found = await resources.find(AgentExecutionView, identity.account_id, params.execution_id)
        if found is None:
            raise RejectedError
        return [execution_stream(found.execution_id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet with the id as the client gave it."""
        greet(caller, channel="agent_execution", execution_id=caller.params.execution_id)
