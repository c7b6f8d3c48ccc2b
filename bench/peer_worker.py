"""The peer of bench/pipeline.py: a bare Temporal program. One entity workflow a session: respond -> record (local) ->
deliver, with the same HTTP post to the sink, and nothing else: no database, no events, no limits.

Run as `python -m bench.peer_worker TEMPORAL_ADDRESS TASK_QUEUE SINK_ORIGIN`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from datetime import timedelta

import httpx2
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker


@dataclass(frozen=True)
class Item:
    """One message."""

    session: str
    number: int


@dataclass
class Activities:
    """What a bare program does for a message."""

    http: httpx2.AsyncClient
    sink: str

    @activity.defn
    async def respond(self, item: Item) -> str:
        """Answer."""
        return f"You wrote: {item.number}"

    @activity.defn
    async def record(self, item: Item) -> None:
        """Would write a row."""

    @activity.defn
    async def deliver(self, item: Item) -> None:
        """Send."""
        await self.http.post(f"{self.sink}/send", json={"chat_id": item.session, "text": f"n{item.number}"})


@workflow.defn
class PeerSession:
    """One session."""

    def __init__(self) -> None:
        self.waiting: list[Item] = []

    @workflow.signal
    def received(self, item: Item) -> None:
        """A message came."""
        self.waiting.append(item)

    @workflow.run
    async def run(self) -> None:
        """Serve for ever."""
        timeout = timedelta(seconds=30)
        while True:
            await workflow.wait_condition(lambda: bool(self.waiting))
            if workflow.info().get_current_history_length() > 2000:
                workflow.continue_as_new()
            item = self.waiting.pop(0)
            await workflow.execute_activity_method(Activities.respond, item, start_to_close_timeout=timeout)
            await workflow.execute_local_activity_method(Activities.record, item, start_to_close_timeout=timeout)
            await workflow.execute_activity_method(Activities.deliver, item, start_to_close_timeout=timeout)


async def main(address: str, queue: str, sink: str) -> None:
    """Run the worker until killed."""
    client = await Client.connect(address)
    async with httpx2.AsyncClient() as http:
        work = Activities(http, sink)
        async with Worker(
            client,
            task_queue=queue,
            workflows=[PeerSession],
            activities=[work.respond, work.record, work.deliver],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=10_000,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        ):
            print("ready", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:4]))
    finally:
        os._exit(0)
