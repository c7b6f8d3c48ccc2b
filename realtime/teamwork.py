"""What channels of teams and people look up and have done; api/finders_teams.py and api/orders_teams.py say how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.people import AccountStatus, AnalyticsView, CustomerView
from domain.teams import TeamCommand, TeamExecutionView, TeamView
from realtime.commands import Order


@dataclass(frozen=True, slots=True)
class TeamAtWork:
    """A team, and what it has under way."""

    team: TeamView
    executions: Sequence[TeamExecutionView]


@dataclass(frozen=True, slots=True)
class CommandExecution(Order[None]):
    """Ask something of a team's execution (its public id). `instructions`: for a redirection."""

    team_id: UUID
    execution_id: str
    command: TeamCommand
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class SearchCustomers(Order[list[CustomerView]]):
    """Find customers: one's own account, or all (`everywhere`), for platform administrators alone."""

    query: str
    status: str | None = None
    plan: str | None = None
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class CountCustomers(Order[int]):
    """Count customers: one's own account, or all."""

    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class SetCustomerStatus(Order[CustomerView]):
    """Let a customer in, or no longer; for platform administrators alone."""

    customer_id: UUID
    status: AccountStatus


@dataclass(frozen=True, slots=True)
class ReadAnalytics(Order[AnalyticsView]):
    """Count figures: of one's own account, or of all (`everywhere`), for platform administrators alone."""

    everywhere: bool = False
