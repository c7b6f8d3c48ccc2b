"""Missions: what they can be, the phases they go through, and how REST and the events show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.file_views import View


class MissionType(StrEnum):
    """What a mission is for; each kind but `custom` has phases of its own."""

    DEVELOPMENT = "development"
    RESEARCH = "research"
    OPERATIONS = "operations"
    CUSTOM = "custom"


class MissionStatus(StrEnum):
    """How a mission stands."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class MissionGate(StrEnum):
    """What a person is asked."""

    FEATURE_SELECTION = "feature_selection"
    PRD_REVIEW = "prd_review"
    CODE_REVIEW = "code_review"
    MERGE_APPROVAL = "merge_approval"


class MissionDecision(StrEnum):
    """What a person answers."""

    APPROVED = "approved"
    REJECTED = "rejected"


ALLOWED_STEPS: Final[Mapping[MissionStatus, frozenset[MissionStatus]]] = {
    MissionStatus.DRAFT: frozenset({MissionStatus.ACTIVE, MissionStatus.CANCELLED}),
    MissionStatus.ACTIVE: frozenset(
        {MissionStatus.PAUSED, MissionStatus.COMPLETED, MissionStatus.FAILED, MissionStatus.CANCELLED}
    ),
    MissionStatus.PAUSED: frozenset({MissionStatus.ACTIVE, MissionStatus.FAILED, MissionStatus.CANCELLED}),
    MissionStatus.FAILED: frozenset({MissionStatus.ACTIVE}),
    MissionStatus.COMPLETED: frozenset(),
    MissionStatus.CANCELLED: frozenset(),
}
"""From where to where a mission may go: what is over stays so, but a failed one may be tried again."""

PHASES: Final[Mapping[MissionType, tuple[str, ...]]] = {
    MissionType.DEVELOPMENT: (
        "analyzing", "awaiting_feature_approval", "planning", "awaiting_prd_approval", "executing", "testing",
        "reviewing", "awaiting_code_approval", "deploying", "previewing", "merging", "completed",
    ),
    MissionType.RESEARCH: ("researching", "analyzing", "reporting", "completed"),
    MissionType.OPERATIONS: ("configuring", "executing", "verifying", "completed"),
    MissionType.CUSTOM: (),
}  # fmt: skip
"""The phases of a mission that brings none of its own."""

GATES: Final[Mapping[str, MissionGate]] = {
    "awaiting_feature_approval": MissionGate.FEATURE_SELECTION,
    "awaiting_prd_approval": MissionGate.PRD_REVIEW,
    "awaiting_code_approval": MissionGate.CODE_REVIEW,
    "previewing": MissionGate.MERGE_APPROVAL,
}
"""Which phases of a development mission wait for a person, and for what."""


def phases_of(kind: MissionType, custom: Sequence[Mapping[str, object]] | None) -> list[str]:
    """Return the keys of a mission's phases in their order. Shape of `custom`: `{key, order, requires_approval, …}`."""
    if not custom:
        return list(PHASES[kind])
    return [str(phase["key"]) for phase in sorted(custom, key=_order)]


def gate_phases_of(kind: MissionType, custom: Sequence[Mapping[str, object]] | None) -> list[str]:
    """Return the keys of the phases that wait for a person's word."""
    if custom:
        return [str(phase["key"]) for phase in sorted(custom, key=_order) if phase.get("requires_approval")]
    return [phase for phase in PHASES[kind] if kind is MissionType.DEVELOPMENT and phase in GATES]


def gate_of(phase: str, custom: Sequence[Mapping[str, object]] | None) -> MissionGate:
    """Return what a person is asked in a phase: what it names as its `gate`, else what its key says, else the last word."""
    own = next((one.get("gate") for one in custom or () if one.get("key") == phase), None)
    named = next((gate for gate in MissionGate if gate.value == own), None)
    return named or GATES.get(phase, MissionGate.MERGE_APPROVAL)


def phase_progress(phases: Sequence[str], current: str | None) -> int:
    """Return how far a phase is, in percent: 0 in the first, 100 in the last; 0 before any."""
    if current is None or current not in phases:
        return 0
    if len(phases) == 1:
        return 100
    return round(phases.index(current) / (len(phases) - 1) * 100)


def _order(phase: Mapping[str, object]) -> float:
    order = phase.get("order", 0)
    return float(order) if isinstance(order, int | float) else 0.0


class MissionView(View):
    """A mission, in lists and events alike. `phase_progress`: percent. `repository`: its full name."""

    id: UUID
    name: str
    mission_type: str
    status: str
    current_phase: str | None
    phase_progress: int
    repository: str | None
    team: str | None
    created_by: str | None
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    mission_template_id: UUID | None
    phases: list[str]
    approval_gate_phases: list[str]
    created_at: datetime
    version: int


class MissionApprovalView(View):
    """A person's word at a gate."""

    id: UUID
    gate: str
    decision: str
    comment: str | None
    user: str | None
    created_at: datetime


class MissionDetailsView(MissionView):
    """A mission in full."""

    repository_id: UUID | None
    team_id: UUID | None
    description: str | None
    objective: str | None
    phase_config: dict[str, object]
    analysis_result: dict[str, object]
    feature_suggestions: list[object]
    selected_feature: dict[str, object]
    prd_json: dict[str, object]
    test_result: dict[str, object]
    review_result: dict[str, object]
    phase_history: list[dict[str, object]]
    configuration: dict[str, object]
    branch_name: str | None
    base_branch: str
    pr_number: int | None
    pr_url: str | None
    deployed_port: int | None
    deployed_url: str | None
    deployed_container_id: str | None
    error_message: str | None
    error_details: dict[str, object]
    conversation_id: UUID | None
    ralph_loop_id: UUID | None
    risk_contract_id: UUID | None
    review_state_id: UUID | None
    custom_phases: list[dict[str, object]] | None
    approvals: list[MissionApprovalView]
