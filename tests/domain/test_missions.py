"""Phases of missions: whose they are, where people are asked, how far one is."""

from __future__ import annotations

import pytest

from domain.missions import (
    ALLOWED_STEPS,
    MissionGate,
    MissionStatus,
    MissionType,
    gate_of,
    gate_phases_of,
    phase_progress,
    phases_of,
)

OWN: list[dict[str, object]] = [
    {"key": "sell", "order": 2, "requires_approval": True, "gate": "code_review"},
    {"key": "buy", "order": 1},
    {"key": "pray", "order": 3, "requires_approval": True},
]


class TestPhases:
    def test_a_kind_has_its_own_unless_the_mission_brings_some(self) -> None:
        assert phases_of(MissionType.RESEARCH, None) == ["researching", "analyzing", "reporting", "completed"]
        assert phases_of(MissionType.RESEARCH, OWN) == ["buy", "sell", "pray"]
        assert phases_of(MissionType.CUSTOM, None) == []

    def test_gates_are_what_waits_for_a_person(self) -> None:
        assert gate_phases_of(MissionType.DEVELOPMENT, None) == [
            "awaiting_feature_approval", "awaiting_prd_approval", "awaiting_code_approval", "previewing",
        ]  # fmt: skip
        assert gate_phases_of(MissionType.OPERATIONS, None) == []
        assert gate_phases_of(MissionType.DEVELOPMENT, OWN) == ["sell", "pray"]

    def test_what_is_asked_there(self) -> None:
        assert gate_of("awaiting_prd_approval", None) is MissionGate.PRD_REVIEW
        assert gate_of("sell", OWN) is MissionGate.CODE_REVIEW
        assert gate_of("pray", OWN) is MissionGate.MERGE_APPROVAL

    @pytest.mark.parametrize(
        ("phases", "current", "percent"),
        [(["a", "b", "c"], "b", 50), (["a", "b", "c"], "c", 100), (["a"], "a", 100), ([], None, 0), (["a"], "z", 0)],
    )
    def test_progress(self, phases: list[str], current: str | None, percent: int) -> None:
        assert phase_progress(phases, current) == percent


class TestSteps:
    def test_what_is_over_stays_so(self) -> None:
        assert not ALLOWED_STEPS[MissionStatus.COMPLETED] | ALLOWED_STEPS[MissionStatus.CANCELLED]
        assert ALLOWED_STEPS[MissionStatus.FAILED] == {MissionStatus.ACTIVE}
        assert set(ALLOWED_STEPS) == set(MissionStatus)
