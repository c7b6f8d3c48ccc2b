"""AiOrchestrationChannel: whatever runs in an account, or one thing of it, in one envelope.

`{event, resource_type, resource_id, payload, timestamp}`; runs, loops and worktree sessions show first how they stand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.events.base import Event
from domain.events.loops import (
    LoopPayload,
    RalphLoopChanged,
    WorktreeSessionChanged,
    WorktreeSessionPayload,
    loop_progress,
)
from domain.events.orchestration import ALL, all_breakers_stream, orchestration_stream, service_stream
from domain.events.runs import RunPayload, WorkflowRunStatusChanged
from domain.loop_views import BatchExecutionView, CircuitBreakerView, RalphLoopView, WorktreeSessionView
from domain.permissions import Permission
from domain.run_views import AgentStandingView, WorkflowRunView, WorkflowView
from realtime.channel import Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet, show_initial
from realtime.identity import Identity
from realtime.resources import BreakerService

Type = Literal[
    "account",
    "workflow",
    "workflow_run",
    "agent",
    "monitoring",
    "system",
    "batch_execution",
    "circuit_breaker",
    "circuit_breaker_service",
    "ralph_loop",
    "worktree_session",
]
_Find = Callable[[Identity, str, Resources], Awaitable[str | None]]


class Params(BaseModel):
    """Which thing: its type and its id. `account` and `monitoring` have the account's id."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Type
    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]


async def _own_account(identity: Identity, key: str, _resources: Resources) -> str | None:
    return str(identity.account_id) if key == str(identity.account_id) else None


async def _nobody(_identity: Identity, _key: str, _resources: Resources) -> str | None:
    """`system` shows what belongs to no account; nobody who is logged in to one may hear it."""
    return None


def _thing(kind: type[Any], key_of: Callable[[Any], object]) -> _Find:
    """Return how a thing of the account is found, and what its stream is named after."""

    async def find(identity: Identity, key: str, resources: Resources) -> str | None:
        found = await resources.find(kind, identity.account_id, key)
        return None if found is None else str(key_of(found))

    return find


def _id(found: Any) -> object:
    return found.id


async def _agent(identity: Identity, key: str, resources: Resources) -> str | None:
    if not identity.may(Permission.AGENTS_READ):
        return None
    found = await resources.find(AgentStandingView, identity.account_id, key)
    return found and str(found.agent_id)


async def _breaker(identity: Identity, key: str, resources: Resources) -> str | None:
    if key == ALL:
        return all_breakers_stream(identity.account_id).removeprefix(orchestration_stream("circuit_breaker", ""))
    found = await resources.find(CircuitBreakerView, identity.account_id, key)
    return found and str(found.id)


async def _service(identity: Identity, key: str, resources: Resources) -> str | None:
    found = await resources.find(BreakerService, identity.account_id, key)
    prefix = orchestration_stream("circuit_breaker_service", "")
    return found and service_stream(identity.account_id, found.name).removeprefix(prefix)


_FINDS: Final[Mapping[Type, _Find]] = {
    "account": _own_account,
    "monitoring": _own_account,
    "system": _nobody,
    "workflow": _thing(WorkflowView, _id),
    "workflow_run": _thing(WorkflowRunView, lambda found: found.run_id),
    "agent": _agent,
    "batch_execution": _thing(BatchExecutionView, lambda found: found.batch_id),
    "circuit_breaker": _breaker,
    "circuit_breaker_service": _service,
    "ralph_loop": _thing(RalphLoopView, _id),
    "worktree_session": _thing(WorktreeSessionView, _id),
}
"""Type -> how the last part of its stream's name is found; None for what the caller may not hear."""


async def _run_now(account_id: UUID, key: str, resources: Resources) -> Event | None:
    run = await resources.find(WorkflowRunView, account_id, key)
    return run and WorkflowRunStatusChanged(
        account_id=account_id, timestamp=_now(), resource_id=run.run_id, payload=RunPayload(workflow_run=run)
    )


async def _loop_now(account_id: UUID, key: str, resources: Resources) -> Event | None:
    loop = await resources.find(RalphLoopView, account_id, key)
    return loop and RalphLoopChanged(
        account_id=account_id,
        timestamp=_now(),
        event="ralph_loop.progress",
        resource_id=str(loop.id),
        payload=LoopPayload(**loop_progress(loop)),
    )


async def _worktrees_now(account_id: UUID, key: str, resources: Resources) -> Event | None:
    session = await resources.find(WorktreeSessionView, account_id, key)
    return session and WorktreeSessionChanged(
        account_id=account_id,
        timestamp=_now(),
        event="worktree_session.status_changed",
        resource_id=str(session.id),
        payload=WorktreeSessionPayload(status=session.status, session=session),
    )


_SHOWS: Final[Mapping[str, Callable[[UUID, str, Resources], Awaitable[Event | None]]]] = {
    "workflow_run": _run_now,
    "ralph_loop": _loop_now,
    "worktree_session": _worktrees_now,
}


def _now() -> datetime:
    return datetime.now(UTC)


@register
class AiOrchestrationChannel(Channel[Params]):
    """Stream `ai_orchestration:{type}:{id}`; of all breakers and of a service's breakers the id holds the account too."""

    name = "AiOrchestrationChannel"
    params = Params
    permission = Permission.WORKFLOWS_READ
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """What is the caller's account's own. `system` is for nobody: what it would show belongs to no account."""
        found = await _FINDS[params.type](identity, params.id, resources)
        if found is None:
            raise RejectedError
        return [orchestration_stream(params.type, found)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet, then show how a run, a loop or a worktree session stands."""
        params = caller.params
        greet(caller, subscription_type=params.type, resource_id=params.id, stream_key=caller.streams[0])
        shows = _SHOWS.get(params.type)
        event = shows and await shows(caller.identity.account_id, params.id, caller.resources)
        if event is not None:
            show_initial(caller, event)
