"""Budgets for AI spend in plain shapes: what they cap, and what is said when one is used up.

Counting is Postgres' work (db/functions/25_budgets.sql): only there can all workers see it at once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

DEFAULT_OUTPUT_TOKENS: Final = 1_024
"""What a model may answer at most, where a budget applies and the agent's `max_output_tokens` says nothing."""


class BudgetPeriod(StrEnum):
    """When a budget starts anew: at midnight UTC, on the first of the month UTC, never."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


def used_up(scope: str, period: BudgetPeriod) -> str:
    """Return why a model request is refused. `scope`: `agent` or `account`."""
    limit = "in total" if period is BudgetPeriod.TOTAL else f"for the {period}"
    return f"the budget of the {scope} {limit} is used up"
