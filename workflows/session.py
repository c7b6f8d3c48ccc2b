"""A chat session, for its whole life: takes what arrives in platform order, has it answered, has the answers delivered.

Postgres is the truth (rows with `handled_at`, parts with claims); this workflow decides what comes next. A signal that
comes twice, late or never does no harm: arrivals carry gap-free numbers, and a gap is read from the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.work import (
    SESSION_WORKFLOW,
    Arrival,
    DeliverResult,
    DeliveryState,
    Recorded,
    RecordResult,
    SessionState,
    TurnInput,
    TurnOutcome,
    delivery_workflow_id,
    response_workflow_id,
)
from workflows import policies
from workflows.approvals import Approvals
from workflows.attributes import search_attributes
from workflows.delivery import OutboundDeliveryWorkflow, append_delivery, attempt_delivery
from workflows.files import AwaitedFiles
from workflows.inbox import Inbox
from workflows.response import AgentResponseWorkflow, forward
from workflows.turn import recording, run_turn, turn_for

with workflow.unsafe.imports_passed_through():
    from activities.messages import MessageActivities
    from activities.sessions import SessionActivities, SessionSeen

ENDED: Final = frozenset({"closed", "blocked"})


@workflow.defn(name=SESSION_WORKFLOW)
class ChatSessionWorkflow:
    """Id `session:{session_id}`. Signals arrive with the start, so the state exists before the first of them."""

    @workflow.init
    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._inbox = Inbox(state)
        self._last_activity = workflow.time()
        self._closed = False
        self._approvals = Approvals()
        self._files = AwaitedFiles(self._inbox)
        self._doing = "Nothing answered in this run yet"

    @workflow.signal
    def message_received(self, arrivals: list[Arrival]) -> None:
        """A person wrote, once or several times."""
        self._last_activity = workflow.time()
        for arrival in arrivals:
            self._inbox.add(arrival)
        self._describe()

    @workflow.signal
    def deliver_recorded(self, messages: list[Recorded]) -> None:
        """Somebody else stored outbound messages (an operator's answer, a retry): deliver them in their order."""
        self._last_activity = workflow.time()
        for message in messages:
            if message not in self._state.outgoing:
                self._state.outgoing.append(message)

    @workflow.signal
    def session_changed(self, version: int) -> None:
        """A human command changed the row (ruling 14): read it again before the next decision."""
        self._state.reload = True

    @workflow.signal
    def delivery_finished(self, workflow_id: str) -> None:
        """The delivery workflow has emptied its queue."""
        if self._state.open_delivery == workflow_id:
            self._state.open_delivery = None
            self._describe()

    @workflow.signal
    def approval_resolved(self, steps: list[int]) -> None:
        """A person decided about tool calls of a turn that runs here."""
        self._approvals.resolve(steps)

    @workflow.signal
    def media_settled(self, message_ids: list[str]) -> None:
        """The files of these messages were fetched, or will not be."""
        self._files.settled(message_ids)

    @workflow.query
    def state(self) -> SessionState:
        """Return all that the workflow remembers."""
        return self._state

    @workflow.run
    async def run(self, state: SessionState) -> None:
        """Serve the session until it closes."""
        if self._state.plan is None:
            await self._reload()
        clock = asyncio.create_task(self._grow_old())
        while not self._closed:
            await self._continue_as_new_if_due()
            await workflow.wait_condition(lambda: self._closed or self._has_work())
            if self._inbox.has_gap() or self._state.reload:
                await self._reload()
            elif self._state.outgoing:
                await self._deliver(self._state.outgoing.pop(0))
            elif self._state.pending:
                await self._answer()
        clock.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _has_work(self) -> bool:
        state = self._state
        return bool(state.pending or state.outgoing or state.reload or self._inbox.has_gap())

    async def _continue_as_new_if_due(self) -> None:
        info = workflow.info()
        if not info.is_continue_as_new_suggested() and info.get_current_history_length() < self._inbox.plan.history_cap:
            return
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._state)

    async def _reload(self) -> None:
        self._state.reload = False
        plan = await workflow.execute_local_activity_method(
            SessionActivities.load_session,
            self._state.ref,
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.DATABASE_RETRY,
        )
        if plan is None:
            self._closed = True
            return
        self._inbox.take_plan(plan)

    async def _answer(self) -> None:
        batch = await self._inbox.take(workflow.sleep)
        while True:
            await self._files.wait(batch)
            turn = turn_for(self._state.ref, batch)
            self._describe(f"Answering **{turn.label}**")
            outcome = await self._run(turn, batch)
            if outcome is not None:
                break
            await self._supersede(turn)
            batch += self._inbox.take_all()
        reply = outcome.reply or await self._record(turn, batch, outcome)
        self._inbox.settle(batch, outcome.steered)
        if reply.recorded is not None:
            await self._deliver(reply.recorded, outcome.delivery)
        self._describe(f"Answered up to arrival {self._state.processed_no}, last **{turn.label}**")

    async def _record(self, turn: TurnInput, batch: list[Arrival], outcome: TurnOutcome) -> RecordResult:
        settling = self._inbox.settling(batch, outcome.steered)
        return await workflow.execute_local_activity_method(
            MessageActivities.record_outbound,
            recording(turn, settling, outcome),
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.DATABASE_RETRY,
            summary=turn.label,
        )

    async def _run(self, turn: TurnInput, batch: list[Arrival]) -> TurnOutcome | None:
        """Run a turn in its host; None when a newer message interrupted it."""
        plan = self._inbox.plan
        if plan.busy_mode == "queue" and plan.inline_turns:
            # Nothing can interrupt it or join it: its last step records the reply and, unless an earlier one still
            # waits or deliveries have workers of their own, makes the first attempt to deliver it.
            return await run_turn(
                turn,
                list,
                self._approvals,
                task_queue=plan.turns_queue,
                settling=self._inbox.settling(batch, []),
                deliver=self._state.open_delivery is None and plan.delivery_queue == plan.turns_queue,
            )
        running = asyncio.create_task(self._host(turn))
        if plan.busy_mode == "interrupt":
            await workflow.wait_condition(lambda: running.done() or bool(self._state.pending))
            if not running.done():
                running.cancel()
                await workflow.wait([running])
                return None
        return await running

    async def _host(self, turn: TurnInput) -> TurnOutcome:
        plan = self._inbox.plan
        steers = plan.busy_mode == "steer"
        if plan.inline_turns:
            steering = self._inbox.take_steering if steers else list
            return await run_turn(turn, steering, self._approvals, task_queue=plan.turns_queue)
        child = await workflow.start_child_workflow(
            AgentResponseWorkflow.run,
            args=[turn, plan.turns_queue],
            id=response_workflow_id(turn.message_ids[-1]),
            task_timeout=policies.TASK_TIMEOUT,
            search_attributes=search_attributes(self._state.ref, turn.trace_id),
            static_summary=f"Answer to {turn.label}",
        )
        if not steers:
            return await child
        forwarded = asyncio.create_task(forward(child, self._state))
        try:
            return await child
        finally:
            forwarded.cancel()

    async def _supersede(self, turn: TurnInput) -> None:
        await workflow.execute_local_activity_method(
            SessionActivities.supersede_turn,
            turn,
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.DATABASE_RETRY,
        )

    async def _deliver(self, message: Recorded, result: DeliverResult | None = None) -> None:
        plan = self._inbox.plan
        if result is None:
            if self._state.open_delivery is not None and await self._append(self._state.open_delivery, message):
                return
            result = await attempt_delivery(self._state.ref, message, plan.delivery_queue)
        if result.settled:
            return
        workflow_id = delivery_workflow_id(message.message_id)
        state = DeliveryState(
            self._state.ref, [message], plan.delivery_queue, wait_s=result.wait_s, waits_for=result.error_class
        )
        try:
            await workflow.start_child_workflow(
                OutboundDeliveryWorkflow.run,
                state,
                id=workflow_id,
                task_timeout=policies.TASK_TIMEOUT,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                search_attributes=search_attributes(self._state.ref, message.trace_id),
                static_summary=f"Delivery of reply {message.trace_id}",
            )
        except WorkflowAlreadyStartedError:
            await self._append(workflow_id, message)
        self._state.open_delivery = workflow_id

    async def _append(self, workflow_id: str, message: Recorded) -> bool:
        if await append_delivery(workflow_id, message):
            return True
        self._state.open_delivery = None  # It ended: from now on we deliver ourselves again.
        return False

    async def _grow_old(self) -> None:
        """Idle, then closed, after silence. One timer at a time, not one a message."""
        idle = self._inbox.plan.status == "idle"
        while not self._closed:
            plan = self._inbox.plan
            limit = plan.close_after_s if idle else plan.idle_after_s
            left = self._last_activity + limit - workflow.time()
            if left > 0:
                await workflow.sleep(left, summary="close when silent" if idle else "idle when silent")
                continue
            if self._has_work():
                self._last_activity = workflow.time()
            elif plan.status in ENDED:
                # Somebody else ended it; the person's next message starts another run.
                self._closed = True
            elif idle:
                self._closed = await self._close()
                self._last_activity = workflow.time()
            else:
                idle = await self._unless_arrived(SessionActivities.mark_session_idle)
                # Not idle after all: the row is not what we think it is. Read it, and never ask again at once.
                self._state.reload = not idle
                self._last_activity = self._last_activity if idle else workflow.time()
            if self._last_activity + plan.idle_after_s > workflow.time():
                idle = False

    async def _close(self) -> bool:
        return await self._unless_arrived(SessionActivities.close_session) and not self._has_work()

    async def _unless_arrived(self, change: Callable[[SessionActivities, SessionSeen], Awaitable[bool]]) -> bool:
        return await workflow.execute_local_activity_method(
            change,
            SessionSeen(self._state.ref, self._state.last_seen_no),
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.DATABASE_RETRY,
        )

    def _describe(self, doing: str | None = None) -> None:
        """Keep what the UI shows under "Current Details" true; it costs no event."""
        self._doing = doing or self._doing
        state = self._state
        lines = [self._doing, "", f"- waiting for an answer: {len(state.pending)}"]
        if state.open_delivery is not None:
            lines.append(f"- refused by the platform for now, tried again by: `{state.open_delivery}`")
        workflow.set_current_details("\n".join(lines))
