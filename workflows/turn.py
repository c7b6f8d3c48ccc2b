"""A turn: model request, tool calls, model request, ... until there is a final text or a cap is reached.

One coroutine with two hosts: workflows/session.py runs it in place, workflows/response.py as a workflow of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid5

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from domain.work import (
    Arrival,
    ModelStepInput,
    ModelStepResult,
    RecordInput,
    SessionRef,
    Settling,
    ToolStepInput,
    ToolStepResult,
    TurnInput,
    TurnOutcome,
)
from workflows import policies
from workflows.approvals import Approvals

with workflow.unsafe.imports_passed_through():
    from activities.agent import AgentActivities

_TURNS: Final = UUID("0d6d1d5e-93a3-4b52-a2f8-7a2f0f3d9c4e")
WALL_LIMIT: Final = timedelta(minutes=10)

Steering = Callable[[], list[str]]
"""Returns the ids of messages that came since it was last asked and that this turn shall answer too."""


def turn_for(ref: SessionRef, batch: list[Arrival]) -> TurnInput:
    """Return the turn that answers a batch. The same messages give the same turn, whatever happened to an earlier run of
    the session's workflow (ONCE-IN).
    """
    last = batch[-1]
    return TurnInput(
        ref=ref,
        turn_id=str(uuid5(_TURNS, ",".join(arrival.message_id for arrival in batch))),
        message_ids=[arrival.message_id for arrival in batch],
        trace_id=last.trace_id,
        label=f"msg {last.arrival_no} {last.trace_id}",
    )


def recording(turn: TurnInput, settling: Settling, outcome: TurnOutcome) -> RecordInput:
    """Return what records how a turn ended."""
    return RecordInput(
        turn,
        outcome.final_step,
        settling,
        failure=outcome.failure,
        skipped=outcome.skipped,
        over_budget=outcome.over_budget,
    )


async def run_turn(
    turn: TurnInput,
    steering: Steering,
    approvals: Approvals,
    *,
    task_queue: str | None = None,
    settling: Settling | None = None,
    deliver: bool = False,
) -> TurnOutcome:
    """Run a turn to its end. Never raises but for cancellation: a failure is an outcome with a reason.

    `settling`: the reply is recorded with the last model step, since nobody will change their mind about the turn;
    `deliver`: and its first attempt is made there.
    """
    steered: list[str] = []
    requests = Requests(turn, task_queue, settling, deliver, approvals)
    try:
        outcome = await _steps(requests, steering, steered)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        outcome = TurnOutcome(failure=_reason(error))
    return replace(outcome, steered=steered)


@dataclass(frozen=True)
class Requests:
    """What all activities of a turn are given."""

    turn: TurnInput
    task_queue: str | None
    settling: Settling | None
    deliver: bool
    approvals: Approvals


async def _steps(given: Requests, steering: Steering, steered: list[str]) -> TurnOutcome:
    deadline = workflow.now() + WALL_LIMIT
    step, requests, tokens = 1, 0, 0
    while True:
        if requests:
            steered.extend(steering())
        result = await _request_model(given, step, steered)
        requests, tokens = requests + 1, tokens + result.tokens
        if (ended := _ended(result, step)) is not None:
            return ended
        if requests >= result.max_model_requests:
            return TurnOutcome(failure=f"The turn reached its limit of {requests} model requests")
        if tokens >= result.max_tokens:
            return TurnOutcome(failure=f"The turn reached its limit of {result.max_tokens} tokens")
        if workflow.now() >= deadline:
            return TurnOutcome(failure="The turn took longer than 10 minutes")
        for call in result.tools:
            step += 1
            wanted = ToolStepInput(given.turn, step, call)
            if call.needs_approval:
                # A person may take longer than a turn: the time that they take is not the turn's.
                deadline += await given.approvals.wait(wanted, given.task_queue)
            if (await _run_tool(given, wanted)).terminal:
                return TurnOutcome(final_step=step)
        step += 1


def _ended(result: ModelStepResult, step: int) -> TurnOutcome | None:
    """Return how the turn ended with this model request; None when it goes on."""
    if result.outcome == "skip":
        return TurnOutcome(skipped=result.reason or "skipped")
    if result.outcome == "over_budget":
        return TurnOutcome(failure=result.reason, over_budget=True)
    if result.outcome == "final":
        return TurnOutcome(final_step=step, reply=result.reply, delivery=result.delivery)
    return None


async def _run_tool(given: Requests, step: ToolStepInput) -> ToolStepResult:
    return await workflow.execute_activity_method(
        AgentActivities.run_tool,
        step,
        task_queue=given.task_queue,
        start_to_close_timeout=policies.TOOL_TIMEOUT,
        retry_policy=policies.TOOL_RETRY,
        summary=f"{given.turn.label} tool {step.call.name}",
    )


async def _request_model(given: Requests, step: int, steered: list[str]) -> ModelStepResult:
    return await workflow.execute_activity_method(
        AgentActivities.request_model,
        ModelStepInput(given.turn, step, list(steered), given.settling, given.deliver),
        task_queue=given.task_queue,
        start_to_close_timeout=policies.MODEL_TIMEOUT,
        schedule_to_close_timeout=policies.MODEL_TOTAL,
        heartbeat_timeout=policies.HEARTBEAT,
        retry_policy=policies.MODEL_RETRY,
        summary=given.turn.label,
    )


def _reason(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == "ModelError":
        return cause.message
    return f"The agent could not finish: {type(cause).__name__ if cause else 'unknown reason'}"
