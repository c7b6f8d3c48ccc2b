"""The API's description of itself: complete, and true of what the routes really answer."""

from __future__ import annotations

from typing import Any

import httpx2
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.deps import PUBLIC, declared
from realtime.hub import Hub
from tests.adapters.support import FakeServer
from tests.api.conftest import Login
from tests.api.devops import devops_ids
from tests.api.files import attach
from tests.api.live import of
from tests.api.test_channels import bot
from tests.api.test_isolation import ask, block, call, calls, cap, talk, trace_of, watched, working
from tests.api.test_sessions import agent_reply

UNENVELOPED = {"health_alive_get", "health_ready_get", "health_health_get", "messages_download_get"}
REFUSED_HERE = {"broadcast", "logout", "assign", "connect", "channels", "attachments", "{channel_id}"}
"""Last steps of paths that refuse the walk's plain bodies for good reasons; they have tests of their own."""


def operations(app: FastAPI) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, dict[str, Any]]] = app.openapi()["paths"]
    return {f"{method.upper()} {path}": one for path, found in paths.items() for method, one in found.items()}


class TestDescription:
    async def test_is_served(self, anybody: httpx2.AsyncClient) -> None:
        answer = await anybody.get("/openapi.json")
        assert answer.json()["info"]["title"] == "Powernode"

    def test_every_operation_is_named_grouped_and_explained(self, app: FastAPI) -> None:
        tags = {tag["name"] for tag in app.openapi()["tags"]}
        found = operations(app)
        assert len({one["operationId"] for one in found.values()}) == len(found) > 35
        for name, one in found.items():
            assert one["summary"], name
            assert one["description"], name
            assert set(one["tags"]) <= tags, name

    def test_says_how_each_refuses(self, app: FastAPI) -> None:
        schemas = app.openapi()["components"]["schemas"]
        assert "HTTPValidationError" not in schemas
        assert set(schemas["ErrorEnvelope"]["required"]) == {"error", "code"}
        for name, one in operations(app).items():
            needed = {"503"} if name.partition(" ")[2] in PUBLIC else {"401", "403", "503"}
            assert needed <= set(one["responses"]), name

    def test_says_what_each_answers(self, app: FastAPI) -> None:
        for name, one in operations(app).items():
            if "webhooks" in one["tags"] or one["operationId"] in UNENVELOPED:
                continue
            [answer] = [one["responses"][status] for status in one["responses"] if status.startswith("2")]
            assert set(answer["content"]["application/json"]["schema"]) == {"$ref"}, name


class TestTruth:
    async def test_every_answer_fits_its_description(
        self, app: FastAPI, hub: Hub, login: Login, server: FakeServer
    ) -> None:
        person = await login()
        socket = of(person, hub)
        session_id, message_id, conversation_id = await talk(app, person)
        reply_id = await agent_reply(app, person, session_id, message_id)
        own = {
            **await devops_ids(person),
            "attachment_id": await attach(app, person, reply_id),
            "agent_id": person.tenant.agent_id,
            "channel_id": person.tenant.channel_id,
            "session_id": session_id,
            "message_id": reply_id,
            "conversation_id": conversation_id,
            "blacklist_id": await block(person),
            "budget_id": await cap(person),
            "approval_id": await ask(app, person, session_id, conversation_id),
            "trace_id": await trace_of(person, session_id, message_id),
            "user_id": person.tenant.user_id,
            "stream": await socket.hear(session_id),
            **(await working(app, person) | await watched(app, person)),
        }
        server.will(bot())
        fitted: set[str] = set()
        # Readers first, then changes; blocking ends all others.
        for method, route in sorted(calls(), key=lambda one: (one[1].name == "block", one[0])):
            if declared(route) is None or route.name == "logout":
                continue
            if route.name in {"approve", "reject"}:
                # Each call is decided once.
                own["approval_id"] = await ask(app, person, session_id, conversation_id)
            answer = await call(person.client, method, route, own)
            model = described(route, answer.status_code)
            if model is not None:
                model.model_validate(answer.json(), extra="forbid")
                fitted.add(f"{method} {route.path}")
        socket.leave()
        missing = {f"{method} {route.path}" for method, route in calls() if declared(route)} - fitted
        assert {name.rpartition("/")[2] for name in missing} <= REFUSED_HERE


def described(route: APIRoute, status: int) -> type[BaseModel] | None:
    return route.responses.get(status, {}).get("model")
