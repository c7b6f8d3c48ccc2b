"""Agents over REST: what they are told and may do; the turn takes it (tests/e2e/test_approvals.py)."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.api.conftest import Login, Person

NEW = {"name": "Bea, the second", "provider": "local", "model": "local"}


async def create(person: Person, **fields: Any) -> httpx2.Response:
    return await person.post("/ai/agents", {"agent": NEW | fields})


async def change(person: Person, agent_id: str, **fields: Any) -> httpx2.Response:
    return await person.client.patch(f"/api/v1/ai/agents/{agent_id}", json={"agent": fields})


class TestCreate:
    async def test_is_listed_and_shown(self, login: Login) -> None:
        person = await login()
        answer = await create(person, tools=["calculate"], settings={"temperature": 0.5}, system_prompt="Be kind.")
        assert answer.status_code == 201
        agent = answer.json()["data"]["agent"]
        assert (agent["slug"], agent["status"], agent["settings"]["temperature"]) == ("bea-the-second", "active", 0.5)
        assert (await person.get(f"/ai/agents/{agent['id']}")).json()["data"]["agent"] == agent
        listed = (await person.get("/ai/agents")).json()["data"]["items"]
        assert [one["name"] for one in listed] == ["Ada", "Bea, the second"]

    async def test_a_slug_is_taken_once(self, login: Login) -> None:
        person = await login()
        assert (await create(person, slug="bea")).status_code == 201
        answer = await create(person, slug="bea")
        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
        assert (await create(await login(), slug="bea")).status_code == 201

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"tools": ["launch"]}, "agent.tools"),
            ({"provider": "abacus"}, "agent.provider"),
            ({"settings": {"approve_tools": ["launch"]}}, "agent.settings"),
            ({"settings": {"approval_timeout_s": 0}}, "agent.settings.approval_timeout_s"),
            ({"settings": {"approve_tool": []}}, "agent.settings.approve_tool"),
            ({"slug": "No Slug"}, "agent.slug"),
            ({"name": ""}, "agent.name"),
        ],
    )
    async def test_refuses_what_makes_no_sense(self, login: Login, fields: dict[str, Any], field: str) -> None:
        answer = await create(await login(), **fields)
        assert answer.status_code == 422
        assert [one["field"] for one in answer.json()["details"]["errors"]] == [field]

    async def test_lists_the_tools_there_are(self, login: Login) -> None:
        listed = (await (await login()).get("/ai/agents/tools")).json()["data"]["items"]
        assert {"calculate", "transfer_to_human"} <= {one["name"] for one in listed}


class TestChange:
    async def test_changes_what_is_given(self, login: Login) -> None:
        person = await login()
        agent = (await create(person, tools=["calculate"], system_prompt="Be kind.")).json()["data"]["agent"]
        changed = (await change(person, agent["id"], name="Bee", status="paused")).json()["data"]["agent"]
        assert changed["updated_at"] > agent["updated_at"]
        same = {"name": "Bee", "status": "paused", "updated_at": changed["updated_at"], "version": 2}
        assert changed == agent | same

    async def test_settings_are_merged_and_null_removes_one(self, login: Login) -> None:
        person = await login()
        agent_id = str(person.tenant.agent_id)
        await change(person, agent_id, settings={"approve_tools": ["calculate"], "approval_timeout_s": 60})
        answer = await change(person, agent_id, settings={"approval_timeout_s": None, "temperature": 0})
        settings = answer.json()["data"]["agent"]["settings"]
        assert {name: value for name, value in settings.items() if value is not None} == {
            "approve_tools": ["calculate"],
            "temperature": 0,
        }
