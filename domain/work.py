"""The small dataclasses of ids that cross Temporal, and the names by which workflows are known.

No message, prompt or model text is ever in one of these (ruling 23): bodies stay in Postgres, histories stay readable.

Annotations are evaluated here, unlike elsewhere: the SDK resolves a dataclass's type hints with every payload that it
decodes, and names kept as strings would be compiled again each time.
"""

from dataclasses import dataclass, field
from typing import Final

SESSION_WORKFLOW: Final = "ChatSessionWorkflow"
RESPONSE_WORKFLOW: Final = "AgentResponseWorkflow"
DELIVERY_WORKFLOW: Final = "OutboundDeliveryWorkflow"

SEARCH_ATTRIBUTES: Final = ("AccountId", "ChannelId", "SessionId", "Platform", "TraceId")
"""Typed keyword search attributes; `powernode migrate` registers them."""


def session_workflow_id(session_id: str) -> str:
    """Return the id of a session's workflow: one per session, for its whole life."""
    return f"session:{session_id}"


def response_workflow_id(message_id: str) -> str:
    """Return the id of a turn that runs as a workflow of its own."""
    return f"response:{message_id}"


def delivery_workflow_id(message_id: str) -> str:
    """Return the id of a delivery that outlived its first attempt."""
    return f"delivery:{message_id}"


@dataclass(frozen=True)
class SessionRef:
    """Whose work it is."""

    account_id: str
    session_id: str
    channel_id: str
    platform: str


def attribute_values(ref: SessionRef, trace_id: str | None = None) -> dict[str, str]:
    """Return the search attributes of work in a session. Shape: attribute -> value."""
    values = {
        "AccountId": ref.account_id,
        "ChannelId": ref.channel_id,
        "SessionId": ref.session_id,
        "Platform": ref.platform,
    }
    return values if trace_id is None else {**values, "TraceId": trace_id}


@dataclass(frozen=True)
class Arrival:
    """An inbound message that waits for its turn. Sorted by (`order_key`, `arrival_no`) (ORDER).

    `files`: it is nothing but files that are still being fetched, and its turn waits for them.
    """

    arrival_no: int
    order_key: str
    message_id: str
    trace_id: str
    files: bool = False


@dataclass(frozen=True)
class Recorded:
    """An outbound message that is stored and waits to be delivered."""

    message_id: str
    generation: int
    trace_id: str


@dataclass(frozen=True)
class SessionPlan:
    """What a session's workflow must know when it starts, or when the row changed under it.

    `turns_queue` and `delivery_queue`: where slow work goes; None keeps it on the session's own task queue.
    `history_cap`: events after which the workflow goes on as a new run. `file_wait_s`: how long a turn waits for files.
    """

    processed_no: int
    last_arrival_no: int
    status: str
    owner: str
    owner_version: int
    busy_mode: str = "queue"
    collect_window_ms: int = 0
    inline_turns: bool = True
    idle_after_s: float = 86_400
    close_after_s: float = 604_800
    turns_queue: str | None = None
    delivery_queue: str | None = None
    history_cap: int = 2_000
    file_wait_s: float = 30.0
    waiting: list[Arrival] = field(default_factory=list[Arrival])
    undelivered: list[Recorded] = field(default_factory=list[Recorded])


@dataclass
class SessionState:
    """All that a session's workflow remembers; the argument of its next run.

    `done`: arrivals that are handled although an earlier one is not yet; `processed_no` is the highest number up to
    which all are.
    """

    ref: SessionRef
    plan: SessionPlan | None = None
    processed_no: int = 0
    last_seen_no: int = 0
    pending: list[Arrival] = field(default_factory=list[Arrival])
    done: list[int] = field(default_factory=list[int])
    outgoing: list[Recorded] = field(default_factory=list[Recorded])
    open_delivery: str | None = None
    reload: bool = False


@dataclass(frozen=True)
class TurnInput:
    """One answer to be made: to which messages, in whose session."""

    ref: SessionRef
    turn_id: str
    message_ids: list[str]
    trace_id: str
    label: str


@dataclass(frozen=True)
class Settling:
    """What a turn's reply settles: these messages are handled, and all arrivals up to `processed_no`."""

    processed_no: int
    handled: list[str]


@dataclass(frozen=True)
class ModelStepInput:
    """One model request of a turn. `steering`: messages that came while it ran, to be answered by it too.

    `settling`: record the reply with the step that ends the turn. Given where nothing can come between the two; else
    the session's workflow records it when it has decided that the turn stands. `deliver`: make the first attempt to
    deliver it at once, too.
    """

    turn: TurnInput
    step: int
    steering: list[str] = field(default_factory=list[str])
    settling: Settling | None = None
    deliver: bool = False


@dataclass(frozen=True)
class ToolRef:
    """A tool call of a stored model step, by position. `needs_approval`: it runs only with a person's word."""

    step: int
    index: int
    name: str
    needs_approval: bool = False


@dataclass(frozen=True)
class RecordResult:
    """The stored reply; None when the turn has none (skipped, taken over, empty)."""

    recorded: Recorded | None = None


@dataclass(frozen=True)
class DeliverResult:
    """How a delivery stands. `settled`: every part ended. Otherwise try again after `wait_s`; `error_class` says why."""

    settled: bool
    wait_s: float = 0.0
    error_class: str = ""
    sent: int = 0
    parts: int = 0


@dataclass(frozen=True)
class ModelStepResult:
    """What a model request led to. `outcome`: `final`, `tools`, `skip` (the session is not ours to answer),
    `over_budget`.

    `reply`: what became of the reply; None when it is not recorded yet. `delivery`: how its first attempt went; None
    when there was none.
    """

    outcome: str
    tools: list[ToolRef] = field(default_factory=list[ToolRef])
    tokens: int = 0
    max_model_requests: int = 8
    max_tokens: int = 32_000
    reason: str | None = None
    reply: RecordResult | None = None
    delivery: DeliverResult | None = None


@dataclass(frozen=True)
class ToolStepInput:
    """One tool call of a turn; its result is stored as step `step`."""

    turn: TurnInput
    step: int
    call: ToolRef


@dataclass(frozen=True)
class ApprovalAsked:
    """How long a tool call's approval is waited for; 0 when it is resolved already."""

    wait_s: float


@dataclass(frozen=True)
class ToolStepResult:
    """`terminal`: the tool ended the turn (a hand-off); its closing words, if any, are stored as the final text."""

    terminal: bool = False


@dataclass(frozen=True)
class TurnOutcome:
    """How a turn's coroutine ended. Exactly one of the first three is meaningful; `reply`, `delivery`: see
    ModelStepResult. `over_budget`: the failure is that no budget is left.
    """

    final_step: int = 0
    failure: str | None = None
    skipped: str | None = None
    steered: list[str] = field(default_factory=list[str])
    reply: RecordResult | None = None
    delivery: DeliverResult | None = None
    over_budget: bool = False


@dataclass(frozen=True)
class RecordInput:
    """Store a turn's reply. `final_step` names the step whose text it is; `failure` replaces it by a notice (one
    of its own with `over_budget`), and with `skipped` there is none.
    """

    turn: TurnInput
    final_step: int
    settling: Settling
    failure: str | None = None
    skipped: str | None = None
    over_budget: bool = False


@dataclass(frozen=True)
class DeliverInput:
    """Try to deliver what is still open of a message."""

    ref: SessionRef
    message: Recorded


@dataclass
class DeliveryState:
    """All that a delivery workflow remembers: the queue of messages, in order. `waits_for`: why the first one waits."""

    ref: SessionRef
    queue: list[Recorded] = field(default_factory=list[Recorded])
    task_queue: str | None = None
    wait_s: float = 0.0
    failing_since: float = 0.0
    waits_for: str = ""
