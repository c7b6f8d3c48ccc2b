"""Every route, from the app itself: who may call it, and that another account's ids are as unknown as guessed ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text

from api.app import ROUTERS
from api.deps import api_routes, declared
from api.services import Services
from db import analytics, approvals, mission_changes, notifications, team_executions, team_messages, teams
from db.approvals import Question
from db.mission_changes import MissionDraft
from db.notifications import NotificationDraft
from db.team_messages import TeamMessageDraft
from db.teams import TeamDraft
from domain.missions import MissionType
from domain.permissions import ROLE_PERMISSIONS, Role
from tests.api.conftest import Login, Person
from tests.api.devops import devops_ids
from tests.api.files import attach
from tests.realtime import examples_runs as made

BODIES: dict[str, Any] = {
    "/api/v1/auth/login": {"email": "x", "password": "x"},
    "/api/v1/chat/channels": {"channel": {"name": "n", "platform": "telegram"}},
    "/api/v1/chat/channels/{channel_id}": {"channel": {}},
    "/api/v1/chat/sessions/{session_id}/messages": {"content": "hi"},
    "/api/v1/chat/blacklists": {"platform_user_id": "x"},
    "/api/v1/ai/agents": {"agent": {"name": "n", "provider": "local", "model": "local"}},
    "/api/v1/ai/agents/{agent_id}": {"agent": {}},
    "/api/v1/ai/budgets": {"budget": {"period": "day", "cap_tokens": 1000}},
    "/api/v1/chat/sessions/{session_id}/assign": {"agent_id": str(uuid4())},
    "/api/v1/git/repositories": {"repository": {"provider": "gitea", "full_name": "a/b"}},
    "/api/v1/service_tokens": {"service_token": {"name": "n", "permissions": ["events.publish"]}},
    "/api/v1/events": {
        "name": "CodeFactoryContractUpdated",
        "payload": {"external_id": "c", "name": "n", "status": "draft"},
    },
    "/api/v1/events/broadcast": {"stream": f"devops_account_{uuid4()}", "data": "1"},
}


def calls() -> list[tuple[str, APIRoute]]:
    return [(method, route) for route in api_routes(ROUTERS) for method in sorted((route.methods or set()) - {"HEAD"})]


async def call(
    client: httpx2.AsyncClient, method: str, route: APIRoute, ids: Mapping[str, UUID | str]
) -> httpx2.Response:
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


@pytest.mark.usefixtures("hub")
class TestTenants:
    async def test_foreign_and_guessed_ids_look_the_same(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        session_id, message_id, conversation_id = await talk(app, theirs)
        foreign: dict[str, UUID | str] = {
            **await devops_ids(theirs),
            "channel_id": theirs.tenant.channel_id,
            "agent_id": theirs.tenant.agent_id,
            "session_id": session_id,
            "message_id": message_id,
            "conversation_id": conversation_id,
            "attachment_id": await attach(app, theirs, message_id),
            "blacklist_id": await block(theirs),
            "budget_id": await cap(theirs),
            "approval_id": await ask(app, theirs, session_id, conversation_id),
            "user_id": theirs.tenant.user_id,
            "stream": f"chat_session_{session_id}",
            **await working(app, theirs),
            "trace_id": await trace_of(theirs, session_id, message_id),
            **await watched(app, theirs),
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
        assert checked >= 20
        assert {name for _, route in calls() for name in re.findall(r"{(\w+)}", route.path)} == {*foreign, "token"}

    async def test_lists_show_nothing_of_another_account(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        session_id, _, _ = await talk(app, theirs)
        await block(theirs)
        await cap(theirs)
        things = await working(app, theirs) | await watched(app, theirs)
        lists = [route.path for method, route in calls() if method == "GET" and "{" not in route.path]
        assert {
            "/api/v1/chat/blacklists",
            "/api/v1/chat/troubled",
            "/api/v1/ai/agents",
            "/api/v1/ai/workflow_runs",
        } <= set(lists)
        secrets: tuple[UUID | str, ...] = (
            theirs.tenant.account_id,
            theirs.tenant.channel_id,
            theirs.tenant.agent_id,
            session_id,
        )
        secrets += tuple(things.values())
        for path in lists:
            answer = await mine.client.get(path)
            assert not [secret for secret in secrets if str(secret) in answer.text], path
        assert str(session_id) in (await theirs.get("/chat/sessions")).text


async def working(app: FastAPI, person: Person) -> dict[str, UUID | str]:
    """Give a person's account a mission, a team at work with a channel, a notification and a subscription; their ids."""
    services: Services = app.state.services
    tenant = person.tenant
    draft = MissionDraft("Mars", MissionType.RESEARCH, tenant.user_id)
    async with services.db.account(tenant.account_id) as conn:
        mission_id, _ = await mission_changes.create(conn, draft)
        team_id = await teams.create(conn, TeamDraft(f"Team {uuid4()}"))
        execution_id, _ = await team_executions.start(conn, team_id, "Paint it", 3)
        channel_id = await teams.open_channel(conn, team_id, "general")
        await team_messages.post(conn, channel_id, TeamMessageDraft("Blue?"))
        told, _ = await notifications.notify(conn, tenant.user_id, NotificationDraft("note", "Hello", "There"))
        await analytics.watch(conn, f"Alert {uuid4()}", "mrr", condition="above", threshold=Decimal(1))
    return {
        "mission_id": mission_id, "team_id": team_id, "team_execution_id": execution_id, "team_channel_id": channel_id,
        "notification_id": told.id,
    }  # fmt: skip


async def watched(app: FastAPI, person: Person) -> dict[str, UUID | str]:
    """Make one of each kind of thing that is watched live; returns their ids by the names of the routes."""
    db, account_id = app.state.services.db, person.tenant.account_id
    return {
        "workflow_id": (await made.make_workflow(db, account_id)).id,
        "run_id": (await made.make_run(db, account_id)).run_id,
        "execution_id": (await made.make_execution(db, account_id)).execution_id,
        "loop_id": (await made.make_loop(db, account_id)).id,
        "batch_id": (await made.make_batch(db, account_id)).batch_id,
        "breaker_id": (await made.make_breaker(db, account_id)).id,
        "worktree_session_id": (await made.make_worktree_session(db, account_id)).id,
    }


async def block(person: Person) -> str:
    """Block somebody in a person's channel; returns the block's id."""
    body = {"platform_user_id": "bad", "channel_id": str(person.tenant.channel_id)}
    answer = await person.post("/chat/blacklists", body)
    return answer.json()["data"]["blacklist"]["id"]


async def cap(person: Person) -> str:
    """Give a person's agent a budget; returns the budget's id."""
    fields = {"agent_id": str(person.tenant.agent_id), "period": "total", "cap_tokens": 1000}
    answer = await person.client.put("/api/v1/ai/budgets", json={"budget": fields})
    return answer.json()["data"]["budget"]["id"]


async def ask(app: FastAPI, person: Person, session_id: UUID, conversation_id: UUID) -> str:
    """Let an agent ask to run a tool in a session; returns the approval's id."""
    turn_id, account_id = uuid4(), person.tenant.account_id
    services: Services = app.state.services
    async with services.db.account(account_id) as conn:
        await conn.execute(
            text(
                "INSERT INTO turns (id, account_id, conversation_id, session_id, message_ids, trace_id)"
                " VALUES (:id, app_account(), :conversation_id, :session_id, '{}', 'trace')"
            ),
            {"id": turn_id, "conversation_id": conversation_id, "session_id": session_id},
        )
        await approvals.ask(conn, Question(turn_id, 2, "calculate", "{}", "response:none"))
    found = await person.get("/ai/approvals", session_id=session_id)
    return found.json()["data"]["items"][0]["id"]


async def trace_of(person: Person, session_id: UUID, message_id: UUID) -> str:
    """Return a message's trace id."""
    answer = await person.get(f"/chat/sessions/{session_id}/messages/{message_id}")
    return answer.json()["data"]["message"]["trace_id"]


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
