"""A turn: model request, tool calls, model request, ... until there is a final text or a cap is reached.

One coroutine with two hosts: workflows/session.py runs it in place, workflows/response.py as a workflow of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from domain.work import ModelStepInput, ModelStepResult, ToolStepInput, TurnInput, TurnOutcome
from workflows import policies

with workflow.unsafe.imports_passed_through():
    from activities.agent import AgentActivities

WALL_LIMIT: Final = timedelta(minutes=10)

Steering = Callable[[], list[str]]
"""Returns the ids of messages that came since it was last asked and that this turn shall answer too."""


async def run_turn(turn: TurnInput, steering: Steering, *, task_queue: str | None = None) -> TurnOutcome:
    """Run a turn to its end. Never raises but for cancellation: a failure is an outcome with a reason."""
    steered: list[str] = []
    try:
        outcome = await _steps(turn, steering, steered, task_queue)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        outcome = TurnOutcome(failure=_reason(error))
    return TurnOutcome(outcome.final_step, outcome.failure, outcome.skipped, steered)


async def _steps(turn: TurnInput, steering: Steering, steered: list[str], task_queue: str | None) -> TurnOutcome:
    deadline = workflow.now() + WALL_LIMIT
    step, requests, tokens = 1, 0, 0
    while True:
        if requests:
            steered.extend(steering())
        result = await _request_model(turn, step, steered, task_queue)
        requests, tokens = requests + 1, tokens + result.tokens
        if result.outcome == "skip":
            return TurnOutcome(skipped=result.reason or "skipped")
        if result.outcome == "final":
            return TurnOutcome(final_step=step)
        if requests >= result.max_model_requests:
            return TurnOutcome(failure=f"The turn reached its limit of {requests} model requests")
        if tokens >= result.max_tokens:
            return TurnOutcome(failure=f"The turn reached its limit of {result.max_tokens} tokens")
        if workflow.now() >= deadline:
            return TurnOutcome(failure="The turn took longer than 10 minutes")
        for call in result.tools:
            step += 1
            answer = await workflow.execute_activity_method(
                AgentActivities.run_tool,
                ToolStepInput(turn, step, call),
                task_queue=task_queue,
                start_to_close_timeout=policies.TOOL_TIMEOUT,
                retry_policy=policies.TOOL_RETRY,
                summary=f"{turn.label} tool {call.name}",
            )
            if answer.terminal:
                return TurnOutcome(final_step=step)
        step += 1


async def _request_model(turn: TurnInput, step: int, steered: list[str], task_queue: str | None) -> ModelStepResult:
    return await workflow.execute_activity_method(
        AgentActivities.request_model,
        ModelStepInput(turn, step, list(steered)),
        task_queue=task_queue,
        start_to_close_timeout=policies.MODEL_TIMEOUT,
        schedule_to_close_timeout=policies.MODEL_TOTAL,
        heartbeat_timeout=policies.HEARTBEAT,
        retry_policy=policies.MODEL_RETRY,
        summary=turn.label,
    )


def _reason(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == "ModelError":
        return cause.message
    return f"The agent could not finish: {type(cause).__name__ if cause else 'unknown reason'}"
