"""Waiting for a person's word on a tool call, durably: a signal of the host's, or a timer. Both hosts of a turn have one."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from domain.work import ToolStepInput
from workflows import policies

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalActivities


class Approvals:
    """The steps of a turn that were decided. The signal only ends the wait: the row says what was decided."""

    def __init__(self) -> None:
        self._resolved: set[int] = set()

    def resolve(self, steps: list[int]) -> None:
        """Take the word that steps were decided."""
        self._resolved.update(steps)

    async def wait(self, step: ToolStepInput, task_queue: str | None) -> timedelta:
        """Ask, and wait until it is decided or its time is over. Returns how long that took."""
        began = workflow.now()
        asked = await workflow.execute_activity_method(
            ApprovalActivities.ask_approval,
            step,
            task_queue=task_queue,
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.DATABASE_RETRY,
            summary=f"{step.turn.label} asks to run {step.call.name}",
        )
        if asked.wait_s > 0:
            workflow.set_current_details(
                f"Waits for a person to approve **{step.call.name}**, {step.turn.label}\n\nTrace `{step.turn.trace_id}`"
            )
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: step.step in self._resolved,
                    timeout=asked.wait_s,
                    timeout_summary=f"approval of {step.call.name}",
                )
            workflow.set_current_details(f"Answering {step.turn.label}\n\nTrace `{step.turn.trace_id}`")
        self._resolved.discard(step.step)
        return workflow.now() - began
