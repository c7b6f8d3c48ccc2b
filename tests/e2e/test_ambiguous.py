"""The table of docs/reliability.md says what really happens."""

from __future__ import annotations

import pytest

from tests.e2e.ambiguous import (
    AT_ONCE,
    CASES,
    ONE_BY_ONE,
    REQUEST_LOST,
    SITUATIONS,
    Case,
    Situation,
    documented,
    happen,
)
from tests.e2e.system import System


class TestTable:
    def test_every_platform_and_every_situation_stands_there(self) -> None:
        assert documented().keys() == {(case.title, one.title) for case in CASES for one in SITUATIONS}

    def test_nobody_gets_it_twice_but_by_their_channels_own_wish(self) -> None:
        twice = {title for (title, _), cell in documented().items() if "twice" in cell}
        assert twice <= {"telegram, `at_least_once`"}

    def test_where_it_can_be_asked_or_repeated_safely_it_arrives(self) -> None:
        sure = [cell for (title, _), cell in documented().items() if title in {"slack", "discord", "mattermost"}]
        assert {cell.partition("; ")[0] for cell in sure} == {"`sent`"}
        assert {cell.split("; ")[1] for cell in sure} == {"shown once"}

    @pytest.mark.parametrize(
        "situation",
        [pytest.param(one, marks=pytest.mark.full) if one is REQUEST_LOST else one for one in AT_ONCE],
        ids=lambda one: one.title,
    )
    async def test_a_run_finds_what_is_written(self, system: System, situation: Situation) -> None:
        found = await happen(system, situation)
        assert found == {key: cell for key, cell in documented().items() if key[1] == situation.title}

    @pytest.mark.full
    @pytest.mark.parametrize("case", CASES, ids=lambda one: one.title)
    @pytest.mark.parametrize("situation", ONE_BY_ONE, ids=lambda one: one.title)
    async def test_a_run_finds_what_is_written_one_by_one(
        self, system: System, situation: Situation, case: Case
    ) -> None:
        for key, cell in (await happen(system, situation, [case])).items():
            assert documented()[key] == cell
