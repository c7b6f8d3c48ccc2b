"""Deliveries that outlived their first attempt: hours of retry here never block the session.

Later messages of the same session are appended, so that none overtakes one that still waits (ruling 4).
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from domain.work import (
    DELIVERY_WORKFLOW,
    DeliverInput,
    DeliverResult,
    DeliveryState,
    Recorded,
    SessionRef,
    session_workflow_id,
)
from workflows import policies

with workflow.unsafe.imports_passed_through():
    from activities.delivery import DeliveryActivities

STOPS_BLOCKING_AFTER_S: Final = 600.0
"""How long a message that is transiently refused may hold back those behind it."""
INTERRUPTED: Final = DeliverResult(settled=False, wait_s=1.0, error_class="interrupted")


async def attempt_delivery(ref: SessionRef, message: Recorded, task_queue: str | None) -> DeliverResult:
    """Run the delivery activity once. A lost worker is an outcome: the claim it left behind says what to do next."""
    try:
        return await workflow.execute_activity_method(
            DeliveryActivities.deliver,
            DeliverInput(ref, message),
            task_queue=task_queue,
            start_to_close_timeout=policies.DELIVER_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT,
            retry_policy=policies.DELIVER_ONCE,
            summary=f"reply {message.trace_id}",
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("delivery attempt lost: %s", type(error.cause).__name__)
        return INTERRUPTED


@workflow.defn(name=DELIVERY_WORKFLOW)
class OutboundDeliveryWorkflow:
    """Id `delivery:{message_id}` of the first message; abandoned by its parent, ends when its queue is empty."""

    @workflow.init
    def __init__(self, state: DeliveryState) -> None:
        self._state = state
        self._hurry = False

    @workflow.signal
    def append(self, message: Recorded) -> None:
        """Deliver this one too, after those that wait."""
        if message not in self._state.queue:
            self._state.queue.append(message)

    @workflow.signal
    def retry_now(self) -> None:
        """An operator does not want to wait for the next attempt."""
        self._hurry = True

    @workflow.query
    def waiting(self) -> list[str]:
        """Return the ids of the messages that wait, in order."""
        return [message.message_id for message in self._state.queue]

    @workflow.run
    async def run(self, state: DeliveryState) -> int:
        """Deliver until nothing waits. Returns how many messages were settled in this run."""
        settled = 0
        while True:
            while self._state.queue:
                await self._pause()
                settled += await self._attempt()
                if workflow.info().is_continue_as_new_suggested():
                    await workflow.wait_condition(workflow.all_handlers_finished)
                    workflow.continue_as_new(self._state)
            await self._tell_session()
            # A message may have been appended while the session was being told.
            if not self._state.queue:
                return settled

    async def _pause(self) -> None:
        if self._state.wait_s <= 0:
            return
        self._describe()
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._hurry,
                timeout=timedelta(seconds=self._state.wait_s),
                timeout_summary=f"next attempt after: {self._state.waits_for or 'a refusal'}",
            )
        self._hurry = False

    async def _attempt(self) -> int:
        state = self._state
        head = state.queue[0]
        result = await attempt_delivery(state.ref, head, state.task_queue)
        if result.settled:
            state.queue.remove(head)
            state.wait_s, state.failing_since = 0.0, 0.0
            return 1
        state.wait_s, state.waits_for = max(0.05, result.wait_s), result.error_class
        return await self._step_aside(result)

    async def _step_aside(self, result: DeliverResult) -> int:
        """Let the others try when the first has been refused for too long while it may be the only one.

        One that is refused as well shows that it is not: then all keep their order, as over a platform's outage.
        """
        state, now = self._state, workflow.time()
        if result.error_class != "transient":
            state.failing_since = 0.0
            return 0
        state.failing_since = state.failing_since or now
        if now - state.failing_since < STOPS_BLOCKING_AFTER_S or len(state.queue) < 2:
            return 0
        if not workflow.patched("others-try-behind-the-first"):  # Until deliveries begun before 2026-11 have ended.
            state.queue.append(state.queue.pop(0))
            state.wait_s = 0.05
            return 0
        settled = 0
        while len(state.queue) > 1:
            behind = state.queue[1]
            if not (await attempt_delivery(state.ref, behind, state.task_queue)).settled:
                break
            state.queue.remove(behind)
            settled += 1
        return settled

    async def _tell_session(self) -> None:
        handle = workflow.get_external_workflow_handle(session_workflow_id(self._state.ref.session_id))
        try:
            await handle.signal("delivery_finished", workflow.info().workflow_id)
        except FailureError:
            workflow.logger.info("the session's workflow has ended; nobody to tell")

    def _describe(self) -> None:
        waiting = "\n".join(f"- `{message.message_id}` (trace `{message.trace_id}`)" for message in self._state.queue)
        workflow.set_current_details(
            f"Next attempt {self._state.wait_s:.0f} s after: {self._state.waits_for or 'a refusal'}\n\nWaiting:\n{waiting}"
        )


async def append_delivery(workflow_id: str, message: Recorded) -> bool:
    """Have a running delivery deliver a message after those that wait there; False when it has ended."""
    handle = workflow.get_external_workflow_handle_for(OutboundDeliveryWorkflow.run, workflow_id)
    try:
        await handle.signal(OutboundDeliveryWorkflow.append, message)
    except FailureError:
        return False
    return True
