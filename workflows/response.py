"""A turn as a workflow of its own: its history, cancellation and tool calls stand by themselves in the Temporal UI."""

from __future__ import annotations

from temporalio import workflow

from domain.work import RESPONSE_WORKFLOW, TurnInput, TurnOutcome
from workflows.turn import run_turn


@workflow.defn(name=RESPONSE_WORKFLOW)
class AgentResponseWorkflow:
    """Id `response:{message_id}`; a child of the session's workflow, which records what it returns."""

    def __init__(self) -> None:
        self._steering: list[str] = []

    @workflow.signal
    def steer(self, message_id: str) -> None:
        """A message came while this turn runs and shall be answered by it, if it asks the model again."""
        self._steering.append(message_id)

    def _take(self) -> list[str]:
        taken, self._steering = self._steering, []
        return taken

    @workflow.run
    async def run(self, turn: TurnInput, task_queue: str | None) -> TurnOutcome:
        """Run the turn. The outcome names only the steering messages that it really took."""
        workflow.set_current_details(f"Answering {turn.label}\n\nTrace `{turn.trace_id}`")
        return await run_turn(turn, self._take, task_queue=task_queue)
