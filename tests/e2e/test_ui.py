"""What an engineer sees of a session in the Temporal UI: who waits for what, and how to find it by a trace id."""

from __future__ import annotations

import asyncio

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.common import SearchAttributeKey

from domain.work import delivery_workflow_id, session_workflow_id
from tests.e2e.system import System, Talk
from tests.tenants import Wish


async def details(client: Client, talk: Talk) -> str:
    """Return what the page "User Metadata" shows under Current Details."""
    [session] = await talk.rows("SELECT id FROM chat_sessions")
    handle = client.get_workflow_handle(session_workflow_id(str(session.id)))
    found = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return found.current_details


async def traces(talk: Talk) -> list[str]:
    rows = await talk.rows("SELECT trace_id FROM chat_messages WHERE direction = 'inbound' ORDER BY created_at")
    return [row.trace_id for row in rows]


class TestCurrentDetails:
    async def test_say_what_is_being_answered_and_what_waits(self, system: System, temporal_client: Client) -> None:
        talk = await system.open_talk("telegram", Wish(provider="openai_compatible"))
        gate = await system.simulator.fault("hold", platform="model", times=1)
        await talk.say("alice", "one")
        await system.simulator.held(gate)
        await talk.say("alice", "two")
        await talk.until("SELECT count(*) FROM outbox", 0)
        [first, second] = await traces(talk)
        assert await details(temporal_client, talk) == f"Answering **msg 1 {first}**\n\n- waiting for an answer: 1"
        await system.simulator.release(gate)
        await talk.replies(2)
        await talk.until("SELECT count(*) FROM chat_messages WHERE delivery_status = 'sent'", 2)
        assert f"**msg 2 {second}**" in await details(temporal_client, talk)

    async def test_name_the_delivery_that_the_platform_holds_up(self, system: System, temporal_client: Client) -> None:
        talk = await system.open_talk("telegram")
        await system.simulator.fault(
            "rate_limited", channel=talk.name, method="sendMessage", times=1, retry_after_s=3_600
        )
        await talk.say("alice", "hello")
        await talk.until("SELECT status FROM message_deliveries WHERE attempts = 1", "queued")
        [reply] = await talk.rows("SELECT id FROM chat_messages WHERE direction = 'outbound'")
        workflow_id = delivery_workflow_id(str(reply.id))
        async with asyncio.timeout(30):
            while f"tried again by: `{workflow_id}`" not in await details(temporal_client, talk):
                await asyncio.sleep(0.05)
        delivery = await temporal_client.get_workflow_handle(workflow_id).describe()
        [trace] = await traces(talk)
        assert delivery.typed_search_attributes[SearchAttributeKey.for_keyword("TraceId")] == trace
        assert await delivery.static_summary() == f"Delivery of reply {trace}"
