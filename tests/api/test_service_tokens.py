"""Tokens of programs over REST: shown once, scoped, never more than their maker has, worth nothing once revoked."""

from __future__ import annotations

import httpx2
from fastapi import FastAPI

from domain.permissions import Role
from tests.api.conftest import Login, Person, client_of

PUBLISH = "events.publish"


async def make(maker: httpx2.AsyncClient, *permissions: str, prefixes: tuple[str, ...] = ()) -> httpx2.Response:
    fields = {"name": "build server", "permissions": list(permissions), "stream_prefixes": list(prefixes)}
    return await maker.post("/api/v1/service_tokens", json={"service_token": fields})


async def program(
    app: FastAPI, person: Person, *prefixes: str, permissions: tuple[str, ...] = (PUBLISH,)
) -> httpx2.AsyncClient:
    """A client with a token that a person made for it."""
    answer = await make(person.client, *permissions, prefixes=prefixes)
    assert answer.status_code == 201, answer.text
    client = client_of(app)
    client.headers["Authorization"] = f"Bearer {answer.json()['data']['token']}"
    return client


class TestCreate:
    async def test_the_token_is_shown_once_and_works(self, app: FastAPI, login: Login) -> None:
        person = await login()
        made = (await make(person.client, "ai.agents.read")).json()["data"]
        client = client_of(app)
        client.headers["Authorization"] = f"Bearer {made['token']}"
        assert (await client.get("/api/v1/ai/agents")).status_code == 200
        assert (await client.get("/api/v1/chat/channels")).status_code == 403
        listed = await person.get("/service_tokens")
        assert made["token"] not in listed.text
        [shown] = listed.json()["data"]["items"]
        assert (shown["permissions"], shown["last_used_at"] is not None) == (["ai.agents.read"], True)

    async def test_is_the_makers_account_s_alone(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        client = await program(app, mine, permissions=("ai.agents.read",))
        answer = await client.get("/api/v1/ai/agents")
        assert str(mine.tenant.agent_id) in answer.text
        assert str(theirs.tenant.agent_id) not in answer.text

    async def test_nobody_gives_what_they_do_not_have(self, app: FastAPI, login: Login) -> None:
        person = await login()
        client = await program(app, person, "chat_session_", permissions=("operations.manage", PUBLISH))
        assert (await make(client, "chat.channels.manage")).status_code == 403
        assert (await make(client, PUBLISH, prefixes=("chat_",))).status_code == 403
        assert (await make(client, PUBLISH, prefixes=("devops_",))).status_code == 403
        assert (await make(client, PUBLISH, prefixes=("chat_session_1",))).status_code == 201

    async def test_an_operator_makes_none(self, login: Login) -> None:
        operator = await login(Role.OPERATOR)
        assert (await make(operator.client, PUBLISH)).status_code == 403

    async def test_refuses_what_is_no_permission_or_no_prefix(self, login: Login) -> None:
        person = await login()
        assert (await make(person.client, "everything")).status_code == 422
        assert (await make(person.client)).status_code == 422
        assert (await make(person.client, PUBLISH, prefixes=("",))).status_code == 422


class TestRevoke:
    async def test_it_is_refused_from_then_on(self, app: FastAPI, login: Login) -> None:
        person, stranger = await login(), await login()
        client = await program(app, person, permissions=("ai.agents.read",))
        [token] = (await person.get("/service_tokens")).json()["data"]["items"]
        path = f"/api/v1/service_tokens/{token['id']}"
        assert (await stranger.client.delete(path)).status_code == 404
        assert (await client.get("/api/v1/ai/agents")).status_code == 200
        first, second = await person.client.delete(path), await person.client.delete(path)
        assert first.json()["data"]["service_token"] == second.json()["data"]["service_token"]
        assert (await client.get("/api/v1/ai/agents")).status_code == 401
