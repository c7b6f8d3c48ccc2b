"""Every route, from the app itself: who may call it, and that another account's ids are as unknown as guessed ones."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import httpx2
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.app import ROUTERS
from api.deps import api_routes, declared
from domain.permissions import ROLE_PERMISSIONS, Role
from tests.api.conftest import Login, Person

BODIES: dict[str, Any] = {
    "/api/v1/auth/login": {"email": "x", "password": "x"},
    "/api/v1/chat/channels": {"channel": {"name": "n", "platform": "telegram"}},
    "/api/v1/chat/channels/{channel_id}": {"channel": {}},
    "/api/v1/chat/sessions/{session_id}/messages": {"content": "hi"},
    "/api/v1/chat/sessions/{session_id}/assign": {"agent_id": str(uuid4())},
}


def calls() -> list[tuple[str, APIRoute]]:
    return [(method, route) for route in api_routes(ROUTERS) for method in sorted((route.methods or set()) - {"HEAD"})]


async def call(client: httpx2.AsyncClient, method: str, route: APIRoute, ids: dict[str, UUID]) -> httpx2.Response:
    path = re.sub(r"{(\w+)}", lambda found: str(ids.get(found[1], uuid4())), route.path)
    body = BODIES.get(route.path, {}) if method in {"POST", "PUT", "PATCH"} else None
    return await client.request(method, path, json=body)


class TestPermissions:
    async def test_every_role_may_do_what_it_may_and_nothing_else(self, app: FastAPI, login: Login) -> None:
        for role in Role:
            person = await login(role)
            for method, route in calls():
                needed = declared(route)
                if needed is None or route.path.startswith("/api/v1/auth"):
                    continue
                answer = await call(person.client, method, route, {})
                allowed = needed.permission is None or needed.permission in ROLE_PERMISSIONS[role]
                assert (answer.status_code == 403) is not allowed, (role, method, route.path, answer.text)

    async def test_nobody_gets_in_without_a_token(self, app: FastAPI, anybody: httpx2.AsyncClient) -> None:
        for method, route in calls():
            if declared(route) is not None:
                answer = await call(anybody, method, route, {})
                assert answer.status_code == 401, (method, route.path)


class TestTenants:
    async def test_foreign_and_guessed_ids_look_the_same(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        session_id, message_id, conversation_id = await talk(app, theirs)
        foreign = {
            "channel_id": theirs.tenant.channel_id,
            "session_id": session_id,
            "message_id": message_id,
            "conversation_id": conversation_id,
        }
        checked = 0
        for method, route in calls():
            if "{" not in route.path or declared(route) is None:
                continue
            known = await call(mine.client, method, route, foreign)
            guessed = await call(mine.client, method, route, {})
            assert (known.status_code, known.content) == (guessed.status_code, guessed.content), (method, route.path)
            assert known.status_code == 404, (method, route.path, known.text)
            checked += 1
        assert checked >= 15

    async def test_lists_show_nothing_of_another_account(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        session_id, _, _ = await talk(app, theirs)
        for path in ("/chat/channels", "/chat/sessions", "/chat/quarantined", "/chat/troubled"):
            answer = await mine.get(path)
            assert str(session_id) not in answer.text
            assert str(theirs.tenant.channel_id) not in answer.text
        assert str(session_id) in (await theirs.get("/chat/sessions")).text


async def talk(app: FastAPI, person: Person) -> tuple[UUID, UUID, UUID]:
    """Let somebody write to a person's channel; returns the session's, the message's and the conversation's ids."""
    update = {
        "update_id": 1,
        "message": {
            "message_id": 1,
            "date": 1_700_000_000,
            "chat": {"id": 7, "type": "private"},
            "from": {"id": 7, "is_bot": False, "first_name": "Alice"},
            "text": "hello",
        },
    }
    answer = await person.client.post(
        f"/api/v1/chat/webhooks/{person.tenant.webhook_token}",
        json=update,
        headers={"X-Telegram-Bot-Api-Secret-Token": "s3cret"},
    )
    assert answer.json() == {"success": True, "processed": 1}
    [session] = (await person.get("/chat/sessions")).json()["data"]["items"]
    [message] = (await person.get(f"/chat/sessions/{session['id']}/messages")).json()["data"]["items"]
    return UUID(session["id"]), UUID(message["id"]), UUID(session["ai_conversation_id"])
