"""Events of teams: messages in their channels, and their executions, with the whole view."""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

from domain.events.base import Event
from domain.teams import TeamExecutionView, TeamMessageView


def team_channel_stream(channel_id: UUID | str) -> str:
    """Return the stream of a team's channel."""
    return f"team_channel:{channel_id}"


def team_stream(team_id: UUID | str) -> str:
    """Return the stream of a team's executions."""
    return f"team_execution:{team_id}"


class TeamMessageCreated(Event):
    """A message was written in a team's channel."""

    type: Literal["message_created"] = "message_created"
    channel_id: UUID
    message: TeamMessageView

    def streams(self) -> list[str]:
        return [team_channel_stream(self.channel_id)]


class _ExecutionEvent(Event):
    team_id: UUID
    job_id: str
    """The execution's public id, as some clients call it."""
    execution_id: str
    status: str
    progress: int
    tasks_total: int
    tasks_completed: int
    tasks_failed: int
    execution: TeamExecutionView

    def streams(self) -> list[str]:
        return [team_stream(self.team_id)]


class ExecutionStarted(_ExecutionEvent):
    """A team began to work."""

    type: Literal["execution_started"] = "execution_started"


class ExecutionProgress(_ExecutionEvent):
    """An execution moved on, or a person asked something of it."""

    type: Literal["execution_progress"] = "execution_progress"
    current_member: str | None = None
    current_role: str | None = None


class MemberCompleted(_ExecutionEvent):
    """A member finished its part."""

    type: Literal["member_completed"] = "member_completed"
    member_index: int
    member_name: str
    member_role: str
    member_success: bool
    member_duration_ms: int | None


class ExecutionCompleted(_ExecutionEvent):
    """An execution came to its end."""

    type: Literal["execution_completed"] = "execution_completed"
    result: dict[str, object]
    duration_ms: int | None


class ExecutionFailed(_ExecutionEvent):
    """An execution broke; `error` is fit to be shown."""

    type: Literal["execution_failed"] = "execution_failed"
    error: str | None
    duration_ms: int | None


class ExecutionTimeout(_ExecutionEvent):
    """An execution took too long."""

    type: Literal["execution_timeout"] = "execution_timeout"
    error: str | None
    duration_ms: int | None


class ExecutionPaused(_ExecutionEvent):
    """An execution stands still, because a person asked for it."""

    type: Literal["execution_paused"] = "execution_paused"


class ExecutionResumed(_ExecutionEvent):
    """An execution goes on."""

    type: Literal["execution_resumed"] = "execution_resumed"


class ExecutionCancelled(_ExecutionEvent):
    """An execution was ended by a person."""

    type: Literal["execution_cancelled"] = "execution_cancelled"


class ExecutionRedirected(_ExecutionEvent):
    """An execution took a person's instructions and works by them."""

    type: Literal["execution_redirected"] = "execution_redirected"
    instructions: str


class PlanAwaitingApproval(_ExecutionEvent):
    """An execution waits for a person's word on its plan."""

    type: Literal["plan_awaiting_approval"] = "plan_awaiting_approval"
    conversation_id: UUID | None
    message_id: UUID | None


EVENTS: Final[tuple[type[Event], ...]] = (
    TeamMessageCreated,
    ExecutionStarted,
    ExecutionProgress,
    MemberCompleted,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionTimeout,
    ExecutionPaused,
    ExecutionResumed,
    ExecutionCancelled,
    ExecutionRedirected,
    PlanAwaitingApproval,
)
