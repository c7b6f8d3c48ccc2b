"""The last step of turns that just ran in this process, so that recording a reply need not read it back.

A step never changes once it is stored; what is not here is read from Postgres.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final
from uuid import UUID

from db.turns import StepRow

KEPT: Final = 1_000


class RecentSteps:
    """One per process. Shape: turn -> its newest stored step."""

    def __init__(self) -> None:
        self._steps: OrderedDict[UUID, StepRow] = OrderedDict()

    def keep(self, turn_id: UUID, step: StepRow) -> None:
        """Remember a stored step; the oldest turn is forgotten."""
        self._steps[turn_id] = step
        self._steps.move_to_end(turn_id)
        if len(self._steps) > KEPT:
            self._steps.popitem(last=False)

    def take(self, turn_id: UUID, number: int) -> StepRow | None:
        """Return a turn's step, and forget the turn; None when it ran elsewhere or the step is not its newest."""
        step = self._steps.pop(turn_id, None)
        return step if step is not None and step.step == number else None
