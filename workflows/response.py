"""A turn as a workflow of its own: its history, cancellation and tool calls stand by themselves in the Temporal UI."""

from __future__ import annotations

from temporalio import workflow

from domain.work import RESPONSE_WORKFLOW, SessionState, TurnInput, TurnOutcome
from workflows.approvals import Approvals
from workflows.turn import run_turn


@workflow.defn(name=RESPONSE_WORKFLOW)
class AgentResponseWorkflow:
    """Id `response:{message_id}`; a child of the session's workflow, which records what it returns."""

    def __init__(self) -> None:
        self._steering: list[str] = []
        self._approvals = Approvals()

    @workflow.signal
    def steer(self, message_id: str) -> None:
        """A message came while this turn runs and shall be answered by it, if it asks the model again."""
        self._steering.append(message_id)

    @workflow.signal
    def approval_resolved(self, steps: list[int]) -> None:
        """A person decided about tool calls, or the turn's end did."""
        self._approvals.resolve(steps)

    def _take(self) -> list[str]:
        taken, self._steering = self._steering, []
        return taken

    @workflow.run
    async def run(self, turn: TurnInput, task_queue: str | None) -> TurnOutcome:
        """Run the turn. The outcome names only the steering messages that it really took."""
        workflow.set_current_details(f"Answering {turn.label}\n\nTrace `{turn.trace_id}`")
        return await run_turn(turn, self._take, self._approvals, task_queue=task_queue)


async def forward(child: workflow.ChildWorkflowHandle[AgentResponseWorkflow, TurnOutcome], state: SessionState) -> None:
    """Tell a turn of the messages that come to its session while it runs, until cancelled."""
    told: set[str] = set()
    while True:
        await workflow.wait_condition(lambda: any(a.message_id not in told for a in state.pending))
        for arrival in [a for a in state.pending if a.message_id not in told]:
            told.add(arrival.message_id)
            # It stays pending until the turn says that it took it: nothing is lost when the turn ends first.
            await child.signal(AgentResponseWorkflow.steer, arrival.message_id)
