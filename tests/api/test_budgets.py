"""Budgets over REST: who may set them, how they are shown, what is refused."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from domain.permissions import Role
from tests.api.conftest import Login, Person


async def put(person: Person, **fields: Any) -> httpx2.Response:
    return await person.client.put("/api/v1/ai/budgets", json={"budget": fields})


async def listed(person: Person) -> list[dict[str, Any]]:
    return (await person.get("/ai/budgets")).json()["data"]["items"]


class TestPut:
    async def test_sets_and_changes_one_budget_a_scope_and_period(self, login: Login) -> None:
        person = await login()
        agent_id = str(person.tenant.agent_id)
        first = (await put(person, period="day", cap_tokens=100)).json()["data"]["budget"]
        await put(person, agent_id=agent_id, period="day", cap_tokens=50)
        raised = (await put(person, agent_id=None, period="day", cap_tokens=200)).json()["data"]["budget"]
        assert (raised["id"], raised["cap_tokens"], raised["remaining"]) == (first["id"], 200, 200)
        assert raised["version"] > first["version"]
        assert [(one["agent"], one["cap_tokens"]) for one in await listed(person)] == [(None, 200), ("Ada", 50)]

    async def test_says_when_it_starts_anew(self, login: Login) -> None:
        person = await login()
        for period in ("day", "month", "total"):
            await put(person, period=period, cap_tokens=1)
        resets = {one["period"]: one["resets_at"] for one in await listed(person)}
        assert resets["total"] is None
        assert resets["day"].endswith("T00:00:00Z")
        assert resets["month"].endswith("-01T00:00:00Z")

    @pytest.mark.parametrize(
        "fields",
        [
            {"period": "week", "cap_tokens": 1},
            {"period": "day", "cap_tokens": -1},
            {"period": "day"},
            {"period": "day", "cap_tokens": 1, "spent": 0},
        ],
    )
    async def test_refuses_what_makes_no_sense(self, login: Login, fields: dict[str, Any]) -> None:
        assert (await put(await login(), **fields)).status_code == 422

    async def test_does_not_know_a_foreign_agent(self, login: Login) -> None:
        mine, theirs = await login(), await login()
        for agent_id in (theirs.tenant.agent_id, uuid4()):
            answer = await put(mine, agent_id=str(agent_id), period="day", cap_tokens=1)
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")

    async def test_an_operator_sees_and_does_not_set(self, login: Login) -> None:
        operator = await login(Role.OPERATOR)
        assert await listed(operator) == []
        assert (await put(operator, period="day", cap_tokens=1)).status_code == 403
        assert (await (await login(Role.VIEWER)).get("/ai/budgets")).status_code == 403


class TestRemove:
    async def test_lifts_it(self, login: Login) -> None:
        person = await login()
        budget = (await put(person, period="day", cap_tokens=1)).json()["data"]["budget"]
        path = f"/api/v1/ai/budgets/{budget['id']}"
        assert (await person.client.delete(path)).status_code == 200
        assert await listed(person) == []
        assert (await person.client.delete(path)).status_code == 404
