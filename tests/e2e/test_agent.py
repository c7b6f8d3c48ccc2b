"""How agents answer: tools, hand-off, failure, and what happens to what is written while they work."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.client import Client

from tests.e2e.system import System, Talk
from tests.tenants import Wish

INBOUND = "SELECT count(*) FROM chat_messages WHERE direction = 'inbound'"
TURNS = "SELECT count(*) FROM turns WHERE status = '{}'"


async def busy(system: System, mode: str, **more: Any) -> tuple[Talk, str]:
    """Begin a turn and hold its model call."""
    wish = Wish(provider="openai_compatible", configuration={"busy_mode": mode, **more})
    talk = await system.open_talk("telegram", wish)
    gate = await system.simulator.fault("hold", platform="model", times=1)
    await talk.say("alice", "first")
    assert await system.simulator.held(gate)
    return talk, gate


async def also(talk: Talk, *said: str) -> None:
    """Write more while the turn runs, and wait until the workflow knows."""
    for number, one in enumerate(said, start=2):
        await talk.say("alice", one)
        await talk.until(INBOUND, number)
    await talk.until("SELECT count(*) FROM outbox", 0)


class TestTools:
    async def test_a_tool_runs_as_a_step_of_a_workflow_of_its_own(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(tools=("calculate",)))
        await talk.say("alice", '/tool calculate {"expression": "6*7"}')
        [reply] = await talk.replies(1)
        assert "42" in reply["text"]
        steps = await talk.rows("SELECT kind, name FROM turn_steps ORDER BY step")
        assert [step.kind for step in steps] == ["model", "tool", "model"]

    async def test_wrong_arguments_are_told_to_the_model_and_the_turn_goes_on(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(tools=("calculate",)))
        await talk.say("alice", '/tool calculate {"formula": 1}')
        [reply] = await talk.replies(1)
        assert "do not fit" in reply["text"]

    async def test_a_handoff_ends_the_turn_and_the_agent_is_silent_from_then_on(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(tools=("transfer_to_human",)))
        await talk.say("alice", '/tool transfer_to_human {"reason": "angry"}')
        [reply] = await talk.replies(1)
        assert "colleague" in reply["text"]
        [session] = await talk.rows("SELECT owner, user_metadata->>'escalation_reason' why FROM chat_sessions")
        assert (session.owner, session.why) == ("human", "angry")
        await talk.say("alice", "hello?")
        await talk.until(TURNS.format("skipped"), 1)
        assert len(await talk.replies(1)) == 1


class TestModelFailure:
    async def test_a_passing_error_is_tried_again(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(provider="openai_compatible"))
        await system.simulator.fault("server_error", platform="model", times=2, status=500)
        await talk.say("alice", "hello")
        [reply] = await talk.replies(1)
        assert "hello" in reply["text"]

    async def test_a_lasting_one_ends_the_turn_with_a_word_to_the_person(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(provider="openai_compatible"))
        await system.simulator.fault("server_error", platform="model", times=1, status=401)
        await talk.say("alice", "hello")
        [reply] = await talk.replies(1)
        assert "could not answer" in reply["text"]
        [turn] = await talk.rows("SELECT status, reason FROM turns")
        assert turn.status == "failed"
        assert turn.reason


class TestBusyModes:
    async def test_queue_answers_each_in_its_own_turn(self, system: System) -> None:
        talk, gate = await busy(system, "queue")
        await also(talk, "second", "third")
        await system.simulator.release(gate)
        replies = await talk.replies(3)
        assert [text for reply in replies for text in ("first", "second", "third") if text in reply["text"]] == [
            "first",
            "second",
            "third",
        ]

    async def test_collect_answers_what_came_meanwhile_in_one(self, system: System) -> None:
        talk, gate = await busy(system, "collect", collect_window_ms=200)
        await also(talk, "second", "third")
        await system.simulator.release(gate)
        await talk.until(TURNS.format("completed"), 2)
        assert len(await talk.replies(2)) == 2
        [turn] = await talk.rows("SELECT cardinality(message_ids) n FROM turns ORDER BY created_at DESC LIMIT 1")
        assert turn.n == 2

    async def test_interrupt_starts_over_with_both(self, system: System) -> None:
        talk, gate = await busy(system, "interrupt")
        await also(talk, "second")
        await talk.until(TURNS.format("superseded"), 1)
        await system.simulator.release(gate)
        await talk.until(TURNS.format("completed"), 1)
        assert len(await talk.replies(1)) == 1
        [turn] = await talk.rows("SELECT cardinality(message_ids) n FROM turns WHERE status = 'completed'")
        assert turn.n == 2
        assert (await talk.rows("SELECT processed_no FROM chat_sessions"))[0][0] == 2

    async def test_steer_gives_it_to_the_running_turn_before_its_next_model_call(self, system: System) -> None:
        wish = Wish(provider="openai_compatible", tools=("calculate",), configuration={"busy_mode": "steer"})
        talk = await system.open_talk("telegram", wish)
        call = {"name": "calculate", "arguments": {"expression": "1+1"}}
        await system.simulator.post("model/script", {"replies": [{"match": "first", "tool_calls": [call]}]})
        gate = await system.simulator.fault("hold", platform="model", times=1)
        await talk.say("alice", "first")
        assert await system.simulator.held(gate)
        await also(talk, "second")
        await system.simulator.release(gate)
        [reply] = await talk.replies(1)
        await talk.until("SELECT processed_no FROM chat_sessions", 2)
        assert (await talk.rows("SELECT count(*) FROM turns"))[0][0] == 1
        assert "second" in reply["text"]


class TestSilence:
    async def test_a_session_grows_idle_then_closes_and_opens_again(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(configuration={"idle_after_s": 1, "close_after_s": 1}))
        await talk.say("alice", "hello")
        await talk.replies(1)
        await talk.until("SELECT status FROM chat_sessions", "closed")
        await talk.say("alice", "me again")
        await talk.replies(2)
        [session] = await talk.rows("SELECT epoch, processed_no FROM chat_sessions")
        assert (session.epoch, session.processed_no) == (2, 2)

    async def test_the_workflow_of_a_session_that_an_operator_closed_ends_and_does_not_spin(
        self, system: System, temporal_client: Client
    ) -> None:
        talk = await system.open_talk("telegram", Wish(configuration={"idle_after_s": 1, "close_after_s": 1}))
        await talk.say("alice", "hello")
        await talk.until("SELECT delivery_status FROM chat_messages WHERE direction = 'outbound'", "sent")
        [session] = await talk.rows("UPDATE chat_sessions SET status = 'closed', closed_at = now() RETURNING id")
        handle = temporal_client.get_workflow_handle(f"session:{session.id}")
        async with asyncio.timeout(30):
            await handle.result()
        assert (await handle.fetch_history()).events[-1].event_id < 60
        await talk.say("alice", "me again")
        await talk.replies(2)


class TestRateLimit:
    async def test_what_is_over_the_limit_waits_is_told_so_once_and_is_answered(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(rate=2))
        for number in range(4):
            answer = await talk.say("alice", f"number {number}")
            assert answer["statuses"] == [200]
        await talk.until("SELECT count(*) FROM chat_messages WHERE deferred_until IS NOT NULL", 2)
        notices = [reply for reply in await talk.replies(3) if "many messages" in reply["text"]]
        assert len(notices) == 1
        await talk.rows("UPDATE chat_messages SET deferred_until = now() WHERE deferred_until IS NOT NULL RETURNING id")
        replies = await talk.replies(5)
        assert [n for reply in replies for n in range(4) if f"number {n}" in reply["text"]] == [0, 1, 2, 3]
