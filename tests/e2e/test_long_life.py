"""A session that outgrows its history goes on as a new run of its workflow, and nobody who writes notices."""

from __future__ import annotations

from temporalio.client import Client

from domain.work import session_workflow_id
from tests.e2e.system import System

MESSAGES = 12


class TestNewRun:
    async def test_every_question_is_answered_once_and_in_order(self, system: System, temporal_client: Client) -> None:
        await system.worker.kill()
        system.worker.start(POWERNODE_HISTORY_CAP="50")
        await system.ready()
        talk = await system.open_talk("telegram")
        for number in range(MESSAGES):
            await talk.say("alice", f"number {number:02}")
        await talk.until("SELECT count(*) FROM chat_messages WHERE delivery_status = 'sent'", MESSAGES)
        shown = await talk.replies(MESSAGES)
        assert [reply["text"][-9:] for reply in shown] == [f"number {number:02}" for number in range(MESSAGES)]
        [session] = await talk.rows("SELECT id FROM chat_sessions")
        found = await temporal_client.get_workflow_handle(session_workflow_id(str(session.id))).describe()
        assert found.raw_description.workflow_execution_info.first_run_id != found.run_id
