"""Events of missions: each goes to the mission's watchers and to those of its account, with the whole view."""

from __future__ import annotations

from typing import Final, Generic, Literal, TypeVar
from uuid import UUID

from domain.events.base import Event
from domain.file_views import View
from domain.missions import MissionApprovalView, MissionView


def mission_stream(mission_id: UUID | str) -> str:
    """Return the stream of one mission."""
    return f"mission:mission:{mission_id}"


def account_missions_stream(account_id: UUID | str) -> str:
    """Return the stream of all missions of an account."""
    return f"mission:account:{account_id}"


class MissionPayload(View):
    """What every event of a mission says. `mission` is the whole view, as lists show it."""

    mission_id: UUID
    mission: MissionView


class StatusPayload(MissionPayload):
    """Where a mission has come to."""

    status: str
    current_phase: str | None


class PhasePayload(StatusPayload):
    """Which phase a mission is in; `phase_progress` in percent."""

    phase_progress: int


class TaskPayload(MissionPayload):
    """A task of a mission. `previous_status` is null for a new one."""

    task_id: str
    task_key: str
    status: str
    previous_status: str | None
    execution_type: str | None
    phase: str | None


class PullRequestPayload(MissionPayload):
    """Where a mission's changes can be looked at."""

    pr_number: int
    pr_url: str


class DeploymentPayload(MissionPayload):
    """Where a mission's result runs."""

    url: str | None
    port: int | None
    container_id: str | None


class GatePayload(MissionPayload):
    """What a person is asked."""

    gate: str
    phase: str


class DecisionPayload(MissionPayload):
    """What a person answered."""

    gate: str
    decision: str
    approval: MissionApprovalView


class FailurePayload(MissionPayload):
    """Why a mission cannot go on, in words that are fit to be shown."""

    error: str
    phase: str | None


P = TypeVar("P", bound=MissionPayload)


class _MissionEvent(Event, Generic[P]):
    account_id: UUID
    payload: P

    def streams(self) -> list[str]:
        return [mission_stream(self.payload.mission_id), account_missions_stream(self.account_id)]


class MissionStatusChanged(_MissionEvent[StatusPayload]):
    """A mission was made, started, paused, ended, or begun again."""

    event: Literal["status_changed"] = "status_changed"


class MissionPhaseChanged(_MissionEvent[PhasePayload]):
    """A mission went into another phase."""

    event: Literal["phase_changed"] = "phase_changed"


class MissionTaskStatusChanged(_MissionEvent[TaskPayload]):
    """A task of a mission moved on."""

    event: Literal["task_status_changed"] = "task_status_changed"


class MissionPrCreated(_MissionEvent[PullRequestPayload]):
    """A mission's pull request was opened."""

    event: Literal["pr_created"] = "pr_created"


class MissionDeployed(_MissionEvent[DeploymentPayload]):
    """A mission's result was deployed."""

    event: Literal["deployed"] = "deployed"


class MissionApprovalRequired(_MissionEvent[GatePayload]):
    """A mission waits at a gate for a person's word."""

    event: Literal["approval_required"] = "approval_required"


class MissionApprovalResolved(_MissionEvent[DecisionPayload]):
    """A person decided at a gate."""

    event: Literal["approval_resolved"] = "approval_resolved"


class MissionError(_MissionEvent[FailurePayload]):
    """A mission failed."""

    event: Literal["error"] = "error"


EVENTS: Final[tuple[type[Event], ...]] = (
    MissionStatusChanged,
    MissionPhaseChanged,
    MissionTaskStatusChanged,
    MissionPrCreated,
    MissionDeployed,
    MissionApprovalRequired,
    MissionApprovalResolved,
    MissionError,
)
