"""A queue of messages behind one that is refused for long: an outage keeps their order, one that fails alone holds nobody up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.work import DeliverInput, DeliverResult, DeliveryState, Recorded, SessionRef
from workflows import delivery
from workflows.delivery import OutboundDeliveryWorkflow

WAIT = DeliverResult(settled=False, wait_s=0.01, error_class="transient")
NAMES = ("one", "two", "three")


@dataclass
class Platform:
    """Refuses so many attempts to deliver each of these, then takes them. Keeps the order in which it took them."""

    refusals: Counter[str]
    taken: list[str] = field(default_factory=list[str])
    tries: Counter[str] = field(default_factory=Counter[str])

    @activity.defn(name="deliver")
    async def deliver(self, request: DeliverInput) -> DeliverResult:
        name = request.message.message_id
        self.tries[name] += 1
        if self.refusals[name] > 0:
            self.refusals[name] -= 1
            return WAIT
        self.taken.append(name)
        return DeliverResult(settled=True)


@pytest.mark.usefixtures("no_patience")
class TestLongRefusal:
    @pytest.fixture
    def no_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delivery, "STOPS_BLOCKING_AFTER_S", 0.0)

    async def deliver(self, client: Client, queue: str, **refusals: int) -> Platform:
        platform = Platform(Counter(refusals))
        ref = SessionRef("account", f"session-{queue}", "channel", "platform")
        state = DeliveryState(ref, [Recorded(name, 1, "trace") for name in NAMES], queue)
        async with Worker(
            client,
            task_queue=queue,
            workflows=[OutboundDeliveryWorkflow],
            activities=[platform.deliver],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            await client.execute_workflow(OutboundDeliveryWorkflow.run, state, id=f"delivery:{queue}", task_queue=queue)
        return platform

    async def test_an_outage_changes_no_order(self, temporal_client: Client, task_queue: str) -> None:
        platform = await self.deliver(temporal_client, task_queue, one=4, two=4, three=0)
        assert platform.taken == list(NAMES)

    async def test_one_that_fails_alone_is_overtaken(self, temporal_client: Client, task_queue: str) -> None:
        platform = await self.deliver(temporal_client, task_queue, one=3)
        assert platform.taken == ["two", "three", "one"]
        assert platform.tries["one"] == 4
