"""TeamExecutionChannel: what a team of agents has under way, and what people ask of it.

A command can come as the cable's action (`{"action":"pause","execution_id":…}`), or as the action `command` that names it
(`{"action":"command","command":"pause",…}`): clients do both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.errors import PowernodeError
from domain.events.teams import ExecutionProgress, team_stream
from domain.permissions import Permission
from domain.teams import TeamCommand
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet, say, show_initial
from realtime.identity import Identity
from realtime.teamwork import CommandExecution, TeamAtWork

MAX_INSTRUCTIONS_CHARS = 8_000
ExecutionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Params(BaseModel):
    """Which team."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    team_id: UUID


class Asked(BaseModel):
    """Of which execution, by its public id. `instructions`: for a redirection."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    execution_id: ExecutionId
    instructions: Annotated[str, StringConstraints(max_length=MAX_INSTRUCTIONS_CHARS)] | None = None


class Commanded(Asked):
    """What is asked, too."""

    command: TeamCommand


async def _ask(caller: Caller[Params], command: TeamCommand, data: Asked) -> None:
    order = CommandExecution(caller.params.team_id, data.execution_id, command, data.instructions)
    try:
        await caller.commands.run(caller.identity, order)
    except PowernodeError as error:
        say(caller, "command_error", command=command, execution_id=data.execution_id, error=error.message)
    else:
        say(caller, "command_acknowledged", command=command, execution_id=data.execution_id)


async def _command(caller: Caller[Params], data: Commanded) -> None:
    await _ask(caller, data.command, data)


def _asking(command: TeamCommand) -> Callable[[Caller[Params], Asked], Awaitable[None]]:
    async def ask(caller: Caller[Params], data: Asked) -> None:
        await _ask(caller, command, data)

    return ask


@register
class TeamExecutionChannel(Channel[Params]):
    """Stream `team_execution:{team id}`."""

    name = "TeamExecutionChannel"
    params = Params
    permission = Permission.TEAMS_READ
    actions = (
        Action("command", Commanded, Permission.TEAMS_EXECUTE, _command),
        *(Action(command.value, Asked, Permission.TEAMS_EXECUTE, _asking(command)) for command in TeamCommand),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Any team of the caller's account."""
        found = await resources.find(TeamAtWork, identity.account_id, str(params.team_id))
        if found is None:
            raise RejectedError
        return [team_stream(found.team.id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet, then show what is under way now, the oldest first."""
        team_id = caller.params.team_id
        greet(caller, channel="team_execution", team_id=str(team_id))
        found = await caller.resources.find(TeamAtWork, caller.identity.account_id, str(team_id))
        for view in found.executions if found is not None else ():
            event = ExecutionProgress(
                team_id=team_id,
                job_id=view.execution_id,
                execution_id=view.execution_id,
                status=view.status,
                progress=view.progress,
                tasks_total=view.tasks_total,
                tasks_completed=view.tasks_completed,
                tasks_failed=view.tasks_failed,
                execution=view,
                timestamp=datetime.now(UTC),
            )
            show_initial(caller, event)
