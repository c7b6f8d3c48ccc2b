"""A budget that is used up: the person is told, operators see it, nothing is spent, and raising the cap helps at once."""

from __future__ import annotations

from typing import Any

from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish

TURNS = "SELECT count(*) FROM turns WHERE status <> 'running'"
REASON = "the budget of the account for the day is used up"


class Office:
    """An administrator of a talk's account."""

    def __init__(self, talk: Talk, token: str) -> None:
        self._http = talk.system.http
        self._url = f"{talk.system.api_url}/api/v1/ai/budgets"
        self._headers = {"Authorization": f"Bearer {token}"}

    async def put(self, cap: int) -> None:
        """Set what the account may spend in a day."""
        body = {"budget": {"agent_id": None, "period": "day", "cap_tokens": cap}}
        (await self._http.put(self._url, json=body, headers=self._headers)).raise_for_status()

    async def budget(self) -> dict[str, Any]:
        """Read the only budget."""
        [found] = (await self._http.get(self._url, headers=self._headers)).json()["data"]["items"]
        return found


async def office_of(talk: Talk) -> Office:
    return Office(talk, await talk.token())


async def ask(talk: Talk, number: int) -> str:
    """Say something and return the answer to it."""
    await talk.say("alice", f"question {number}")
    replies = await talk.replies(number)
    await talk.until(TURNS, number)
    assert len(replies) == number
    return replies[-1]["text"]


class TestBudget:
    async def test_the_third_message_finds_it_used_up_and_raising_it_helps(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(password_hash=HASH))
        office = await office_of(talk)
        await office.put(1_000_000)
        assert "question 1" in await ask(talk, 1)
        spent = (await office.budget())["spent"]
        assert spent > 0
        # Anything left admits one request more, and no further one.
        await office.put(spent + 1)
        assert "question 2" in await ask(talk, 2)
        before = await office.budget()
        assert "all I can for now" in await ask(talk, 3)
        after = await office.budget()
        assert (after["spent"], after["reserved"], after["remaining"]) == (before["spent"], 0, 0)
        [turn] = await talk.rows("SELECT reason, input_tokens FROM turns WHERE status = 'failed'")
        assert (turn.reason, turn.input_tokens) == (REASON, 0)
        await office.put(1_000_000)
        assert "question 4" in await ask(talk, 4)
        used = await talk.rows("SELECT sum(input_tokens + output_tokens) FROM turn_steps")
        assert (await office.budget())["spent"] == used[0][0]

    async def test_a_turn_with_tools_stops_between_its_requests(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(password_hash=HASH, tools=("calculate",)))
        await (await office_of(talk)).put(1)
        await talk.say("alice", '/tool calculate {"expression": "6*7"}')
        [reply] = await talk.replies(1)
        assert "all I can for now" in reply["text"]
        steps = await talk.rows("SELECT kind FROM turn_steps ORDER BY step")
        assert [step.kind for step in steps] == ["model", "tool"]
        await talk.until("SELECT count(*) FROM budget_reservations", 0)

    async def test_a_failing_model_costs_nothing_and_is_reserved_once(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(provider="openai_compatible", password_hash=HASH))
        office = await office_of(talk)
        await office.put(1)
        await system.simulator.fault("server_error", platform="model", times=2, status=500)
        await talk.say("alice", "hello")
        [reply] = await talk.replies(1)
        # The retries run under the first attempt's reservation; their own would have been refused.
        assert "hello" in reply["text"]
        await talk.until("SELECT reserved_tokens FROM ai_budgets", 0)
