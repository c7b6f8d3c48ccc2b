"""Tool calls that need a person's word: the turn waits durably, one decision counts, and the row decides."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.client import Client

from tests.e2e.desk import Desk, desk_of
from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish

STATUS = "SELECT status FROM tool_approvals"


async def asked(system: System, *, wait_s: float = 600, **configuration: Any) -> tuple[Talk, Desk, dict[str, Any]]:
    """Have an agent ask to run a tool."""
    talk = await system.open_talk(
        "telegram", Wish(tools=("calculate",), password_hash=HASH, configuration=configuration)
    )
    desk = await desk_of(talk)
    settings = {"approve_tools": ["calculate"], "approval_timeout_s": wait_s}
    answer = await desk.patch(f"/ai/agents/{talk.tenant.agent_id}", agent={"settings": settings})
    assert answer.status_code == 200, answer.text
    await talk.say("alice", '/tool calculate {"expression": "6*7"}')
    await talk.until(STATUS, "pending")
    [waiting] = (await desk.data("/ai/approvals", status="pending"))["items"]
    return talk, desk, waiting


async def tool_result(talk: Talk) -> str:
    [step] = await talk.rows("SELECT response->>'result' AS result FROM turn_steps WHERE kind = 'tool'")
    return step.result


class TestDecisions:
    async def test_approved_it_runs_and_the_turn_goes_on(self, system: System) -> None:
        talk, desk, approval = await asked(system)
        assert (approval["tool"], approval["arguments"]) == ("calculate", '{"expression": "6*7"}')
        assert (await talk.rows("SELECT count(*) FROM turn_steps WHERE kind = 'tool'"))[0][0] == 0
        answer = await desk.post(f"/ai/approvals/{approval['id']}/approve")
        assert (answer.status_code, answer.json()["data"]["approval"]["status"]) == (200, "approved")
        [reply] = await talk.replies(1)
        assert "42" in reply["text"]

    async def test_rejected_it_does_not_run_and_the_agent_is_told_why(self, system: System) -> None:
        talk, desk, approval = await asked(system)
        await desk.post(f"/ai/approvals/{approval['id']}/reject", reason="too dear")
        [reply] = await talk.replies(1)
        assert "42" not in reply["text"]
        assert "too dear" in await tool_result(talk)

    async def test_of_many_decisions_at_once_one_counts(self, system: System) -> None:
        talk, desk, approval = await asked(system)
        verbs = ["approve", "reject"] * 5
        answers = await asyncio.gather(*(desk.post(f"/ai/approvals/{approval['id']}/{verb}") for verb in verbs))
        won = [verb for verb, answer in zip(verbs, answers, strict=True) if answer.status_code == 200]
        assert len(won) == 1
        assert {answer.status_code for answer in answers} == {200, 409}
        [reply] = await talk.replies(1)
        assert ("42" in reply["text"]) is (won == ["approve"])

    async def test_without_a_word_in_time_it_does_not_run(self, system: System) -> None:
        talk, desk, approval = await asked(system, wait_s=1)
        [reply] = await talk.replies(1)
        assert "42" not in reply["text"]
        assert "in time" in await tool_result(talk)
        late = await desk.post(f"/ai/approvals/{approval['id']}/approve")
        assert (late.status_code, late.json()["details"]["status"]) == (409, "expired")


class TestWaiting:
    async def test_it_outlives_the_worker(self, system: System) -> None:
        talk, desk, approval = await asked(system)
        await system.worker.kill()
        assert (await desk.post(f"/ai/approvals/{approval['id']}/approve")).status_code == 200
        system.worker.start()
        await system.ready()
        [reply] = await talk.replies(1)
        assert "42" in reply["text"]
        assert (await talk.rows("SELECT count(*) FROM turn_steps WHERE kind = 'tool'"))[0][0] == 1

    async def test_a_word_to_the_workflow_alone_runs_nothing(self, system: System, temporal_client: Client) -> None:
        talk, _, _ = await asked(system)
        [row] = await talk.rows("SELECT workflow_id, step FROM tool_approvals")
        assert row.workflow_id.startswith("response:")
        await temporal_client.get_workflow_handle(row.workflow_id).signal("approval_resolved", [row.step])
        [reply] = await talk.replies(1)
        assert "42" not in reply["text"]

    async def test_a_take_over_cancels_it(self, system: System) -> None:
        talk, desk, approval = await asked(system)
        assert (await desk.post(f"/chat/sessions/{approval['session_id']}/take_over")).status_code == 200
        await talk.until(STATUS, "cancelled")
        await talk.until("SELECT status FROM turns", "skipped")

    async def test_an_interruption_cancels_it(self, system: System) -> None:
        talk, _, _ = await asked(system, busy_mode="interrupt")
        await talk.say("alice", "never mind")
        await talk.until("SELECT count(*) FROM turns WHERE status = 'completed'", 1)
        assert [row.status for row in await talk.rows(STATUS)] == ["cancelled"]
