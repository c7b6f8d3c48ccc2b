"""Teams of agents: what they can be, their channels and executions, and how REST and the events show them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.file_views import View


class TeamType(StrEnum):
    """How a team is built."""

    HIERARCHICAL = "hierarchical"
    MESH = "mesh"
    SEQUENTIAL = "sequential"
    PARALLEL = "parallel"
    WORKSPACE = "workspace"


class Coordination(StrEnum):
    """Who decides what is done next."""

    MANAGER_LED = "manager_led"
    CONSENSUS = "consensus"
    AUCTION = "auction"
    ROUND_ROBIN = "round_robin"
    PRIORITY_BASED = "priority_based"
    PRESSURE_DRIVEN = "pressure_driven"
    SELF_ORGANIZING = "self_organizing"


class TeamStatus(StrEnum):
    """Whether a team may be put to work."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ARCHIVED = "archived"


class ParallelMode(StrEnum):
    """Where tasks that run at once do their work."""

    STANDARD = "standard"
    WORKTREE = "worktree"


class TeamRole(StrEnum):
    """What an agent is in a team."""

    MANAGER = "manager"
    RESEARCHER = "researcher"
    WRITER = "writer"
    REVIEWER = "reviewer"
    EXECUTOR = "executor"
    ANALYST = "analyst"
    COORDINATOR = "coordinator"
    FACILITATOR = "facilitator"
    SPECIALIST = "specialist"
    FLOATER = "floater"


class TeamChannelType(StrEnum):
    """What a team's channel is for."""

    BROADCAST = "broadcast"
    DIRECT = "direct"
    TOPIC = "topic"
    TASK = "task"
    ESCALATION = "escalation"


class TeamMessageType(StrEnum):
    """What a team's message is."""

    TASK_ASSIGNMENT = "task_assignment"
    TASK_UPDATE = "task_update"
    TASK_RESULT = "task_result"
    WORK_PLAN = "work_plan"
    SYNTHESIS = "synthesis"
    QUESTION = "question"
    ANSWER = "answer"
    ESCALATION = "escalation"
    COORDINATION = "coordination"
    BROADCAST = "broadcast"
    HUMAN_INPUT = "human_input"


class Priority(StrEnum):
    """How soon a message wants to be read."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class ExecutionStatus(StrEnum):
    """How a team's execution stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    AWAITING_APPROVAL = "awaiting_approval"


OVER: Final = frozenset(
    {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, ExecutionStatus.TIMEOUT}
)
"""The statuses that are final."""


class ControlSignal(StrEnum):
    """What people asked of a running execution; whoever runs it looks before each step. Null: go on."""

    PAUSE = "pause"
    CANCEL = "cancel"
    REDIRECT = "redirect"


class TeamCommand(StrEnum):
    """What people can ask of a running execution."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    REDIRECT = "redirect"


class TeamView(View):
    """A team, in lists."""

    id: UUID
    name: str
    description: str | None
    team_type: str
    coordination_strategy: str
    status: str
    parallel_mode: str
    max_parallel_tasks: int
    task_timeout_seconds: int
    member_count: int
    created_at: datetime
    version: int


class TeamMemberView(View):
    """An agent in a team."""

    id: UUID
    agent_id: UUID
    agent_name: str
    role: str
    is_lead: bool
    priority_order: int


class TeamChannelView(View):
    """A channel of a team."""

    id: UUID
    team_id: UUID
    name: str
    channel_type: str
    is_persistent: bool
    message_retention_hours: int | None
    participant_roles: list[str]
    message_count: int
    created_at: datetime
    version: int


class TeamDetailsView(TeamView):
    """A team in full."""

    members: list[TeamMemberView]
    channels: list[TeamChannelView]


class TeamRoleView(View):
    """Which member speaks or is spoken to."""

    id: UUID
    role_name: str
    agent_name: str


class TeamPersonView(View):
    """Which person speaks."""

    id: UUID
    name: str
    email: str


class TeamMessageView(View):
    """A message in a team's channel, in lists and events alike. `sequence_number` has no gaps within the channel."""

    id: UUID
    content: str
    message_type: str
    priority: str
    from_role: TeamRoleView | None
    to_role: TeamRoleView | None
    user: TeamPersonView | None
    requires_response: bool
    responded_at: datetime | None
    sequence_number: int
    created_at: datetime
    version: int


class TeamExecutionView(View):
    """One execution of a team, in lists and events alike. `execution_id`: its public id. `progress`: percent of tasks done.

    `control_signal`: what people asked and was not yet obeyed; null when there is nothing.
    """

    id: UUID
    execution_id: str
    team_id: UUID
    status: str
    objective: str | None
    tasks_total: int
    tasks_completed: int
    tasks_failed: int
    progress: int
    control_signal: str | None
    redirect_instructions: str | None
    total_tokens_used: int
    total_cost_usd: float
    approval_decision: str | None
    approval_feedback: str | None
    error: str | None
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    version: int


class MemberStepView(View):
    """What one member has done in an execution. `duration_ms`: null where it was not measured."""

    member_index: int
    member_name: str
    member_role: str
    member_success: bool
    member_duration_ms: int | None
