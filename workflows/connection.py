"""Holds a channel's socket for as long as the channel is to be connected: one workflow a channel, one holder at a time.

A dead holder is noticed by its missing heartbeats and replaced; what the platform refuses waits for a person's change.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityCancellationType

from domain.connection import CONNECTION_WORKFLOW, ChannelRef, ConnectionEnd, ConnectionPlan
from workflows import policies

with workflow.unsafe.imports_passed_through():
    from activities.connections import ConnectionActivities

AGAIN_AFTER: Final = timedelta(minutes=1)
"""After an error that no retry of the activity mends, which only a fault of ours makes."""


@workflow.defn(name=CONNECTION_WORKFLOW)
class ChannelConnectionWorkflow:
    """Id `connection:{channel_id}`. Ends when the channel is disconnected or gone."""

    @workflow.init
    def __init__(self, ref: ChannelRef) -> None:
        self._ref = ref
        self._changed = False

    @workflow.signal
    def connection_changed(self, _version: int) -> None:
        """The channel changed: begin anew with what it says now."""
        self._changed = True

    @workflow.signal
    def connection_wanted(self, _version: int) -> None:
        """See that the connection is held: to be started is all that it takes."""

    @workflow.run
    async def run(self, ref: ChannelRef) -> None:
        """Hold the socket, again and again."""
        while True:
            self._changed = False
            plan = await self._load()
            if plan.wanted:
                await self._hold(plan)
            elif not self._changed:
                return
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(ref)

    async def _load(self) -> ConnectionPlan:
        return await workflow.execute_activity_method(
            ConnectionActivities.load_connection,
            self._ref,
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.DATABASE_RETRY,
            summary="is there to be a connection",
        )

    async def _hold(self, plan: ConnectionPlan) -> None:
        """Hold the socket until the channel changes."""
        workflow.set_current_details(f"Holds the socket of channel `{self._ref.channel_id}`")
        holding = workflow.start_activity_method(
            ConnectionActivities.hold_connection,
            self._ref,
            task_queue=plan.queue,
            start_to_close_timeout=policies.HOLD_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT,
            retry_policy=policies.HOLD_RETRY,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"socket of {self._ref.platform}",
        )
        changed = asyncio.create_task(workflow.wait_condition(lambda: self._changed))
        await workflow.wait([holding, changed], return_when=asyncio.FIRST_COMPLETED)
        if holding.done():
            changed.cancel()
            await self._rest(holding)
            return
        holding.cancel()
        with suppress(ActivityError, asyncio.CancelledError):
            await holding

    async def _rest(self, ended: workflow.ActivityHandle[ConnectionEnd]) -> None:
        """Wait for a change, because the platform refused; or for a while, because we failed."""
        try:
            refused, pause = (await ended).refused, None
        except ActivityError as error:
            refused, pause = f"{type(error.cause).__name__}", AGAIN_AFTER
        workflow.set_current_details(f"Refused: {refused}\n\nWaits for a change of channel `{self._ref.channel_id}`")
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._changed, timeout=pause, timeout_summary="the connection is tried again"
            )
