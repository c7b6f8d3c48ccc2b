"""Traces, what waits, health, and how refusals look: what an engineer asks of a running api."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from fastapi import FastAPI

from api.hub import open_hub
from stack.ports import any_free
from tests.api.conftest import Login, Person, build_app, client_of
from tests.api.test_isolation import talk, trace_of
from tests.api.test_sessions import agent_reply


async def send_raw(person: Person, body: bytes) -> httpx2.Response:
    path = f"/api/v1/chat/webhooks/{person.tenant.webhook_token}"
    return await person.client.post(path, content=body, headers={"X-Telegram-Bot-Api-Secret-Token": "s3cret"})


class TestTrace:
    async def test_tells_a_story_from_the_webhook_on(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, message_id, _ = await talk(app, person)
        message = (await person.get(f"/chat/sessions/{session_id}/messages/{message_id}")).json()["data"]["message"]
        trace = (await person.get(f"/traces/{message['trace_id']}")).json()["data"]["trace"]
        [webhook] = trace["webhooks"]
        assert [(item["kind"], item["state"]) for item in webhook["items"]] == [("message", "recorded")]
        assert [one["id"] for one in trace["messages"]] == [str(message_id)]
        assert trace["workflow_ids"] == [f"session:{session_id}"]
        assert {"message_received"} <= {row["name"] for row in trace["waiting"]}
        assert trace["turns"] == []

    async def test_joins_question_turn_and_answer_under_either_id(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, message_id, _ = await talk(app, person)
        reply_id = await agent_reply(app, person, session_id, message_id)
        question = await trace_of(person, session_id, message_id)
        trace = (await person.get(f"/traces/{question}")).json()["data"]["trace"]
        assert [message["id"] for message in trace["messages"]] == [str(message_id), str(reply_id)]
        [turn] = trace["turns"]
        assert (turn["agent"], turn["status"], [step["kind"] for step in turn["steps"]]) == (
            "Ada",
            "completed",
            ["model"],
        )
        answer = (await person.get(f"/traces/{await trace_of(person, session_id, reply_id)}")).json()["data"]["trace"]
        assert (answer["turns"], answer["messages"]) == ([turn], trace["messages"][1:])

    async def test_knows_webhooks_that_led_to_no_message(self, login: Login) -> None:
        person = await login()
        answer = await send_raw(person, b"not json")
        assert answer.status_code == 200
        trace = (await person.get(f"/traces/{answer.headers['X-Trace-Id']}")).json()["data"]["trace"]
        assert (trace["webhooks"][0]["outcome"], trace["messages"]) == ("quarantined", [])


class TestOperations:
    async def test_counts_what_needs_a_person(self, app: FastAPI, login: Login) -> None:
        person, other = await login(), await login()
        session_id, _, _ = await talk(app, person)
        await send_raw(person, b"not json")
        await send_raw(other, b"not json")
        await person.post(f"/chat/sessions/{session_id}/messages", {"content": "too late"})
        await person.post(f"/chat/sessions/{session_id}/block", {})
        data = (await person.get("/operations")).json()["data"]
        assert (data["quarantined"], data["dead"], data["unknown"], data["deferred"]) == (1, 1, 0, 0)
        assert data["outbox"]["waiting"] > 0

    async def test_quarantined_are_listed_by_channel(self, login: Login) -> None:
        person = await login()
        await send_raw(person, b"not json")
        path = f"/chat/channels/{person.tenant.channel_id}/quarantined"
        [item] = (await person.get(path)).json()["data"]["items"]
        assert (item["body_preview"], item["size_bytes"]) == ("not json", 8)
        assert item["reason"]


class TestHealth:
    async def test_ready_without_temporal_but_not_healthy(self, app: FastAPI, anybody: httpx2.AsyncClient) -> None:
        assert (await anybody.get("/healthz")).json() == {"status": "ok"}
        assert (await anybody.get("/readyz")).status_code == 200
        health = await anybody.get("/api/v1/health")
        assert health.status_code == 503
        parts = health.json()["data"]["parts"]
        assert parts == {"postgres": True, "redis": True, "temporal": False, "hub": False, "worker": False}

    async def test_the_hub_is_well_while_it_hears_redis(self, app: FastAPI, anybody: httpx2.AsyncClient) -> None:
        async with open_hub(app, app.state.services):
            while not app.state.hub.hearing:
                await asyncio.sleep(0)
            assert (await anybody.get("/api/v1/health")).json()["data"]["parts"]["hub"] is True

    async def test_not_ready_while_draining(self, app: FastAPI, anybody: httpx2.AsyncClient) -> None:
        app.state.services.draining = True
        assert (await anybody.get("/readyz")).status_code == 503

    async def test_without_postgres_everything_says_503(self) -> None:
        away = any_free()
        app = build_app(f"postgresql://nobody:x@127.0.0.1:{away}/none", f"redis://127.0.0.1:{away}/0")
        async with client_of(app) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 503
            for path in ("/api/v1/chat/webhooks/any", "/api/v1/auth/login"):
                answer = await client.post(path, json={"email": "a@example.org", "password": "x"})
                assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
                assert int(answer.headers["Retry-After"]) > 0
        await app.state.services.close()


class TestRefusals:
    async def test_unknown_paths_and_wrong_methods_keep_the_envelope(self, anybody: httpx2.AsyncClient) -> None:
        unknown = await anybody.get("/api/v1/nothing/here")
        assert (unknown.status_code, unknown.json()["code"], unknown.json()["success"]) == (404, "NOT_FOUND", False)
        method = await anybody.delete("/api/v1/auth/login")
        assert (method.status_code, method.json()["code"]) == (405, "METHOD_NOT_ALLOWED")

    async def test_what_cannot_be_stored_is_the_callers_fault(self, login: Login) -> None:
        person = await login()
        channel = {"name": "a\x00b", "platform": "telegram", "credentials": {"bot_token": "1:a", "webhook_secret": "s"}}
        answers = [
            await person.post("/chat/channels", {"channel": channel}),
            await person.post("/chat/channels", {"channel": channel | {"name": "n", "configuration": {"x": "\x00"}}}),
            await person.get("/chat/channels", platform="\x00"),
            await person.get("/chat/sessions", since="0001-01-01T00:00:00+23:00"),
            await person.get("/ai/conversations/%00/messages"),
            await person.get("/traces/%00"),
            await person.client.post("/api/v1/auth/login", json={"email": "\x00", "password": "x"}),
        ]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "VALIDATION_ERROR")}

    async def test_a_lone_surrogate_is_refused_as_input(self, login: Login) -> None:
        person = await login()
        answer = await person.client.post(
            "/api/v1/auth/login",
            content=b'{"email": "\\ud800", "password": "x"}',
            headers={"Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")

    async def test_a_body_over_a_megabyte_is_refused(self, anybody: httpx2.AsyncClient) -> None:
        async def endless() -> object:
            for _ in range(20):
                yield b" " * 100_000

        announced = await anybody.post("/api/v1/auth/login", content=b" " * 1_100_000)
        streamed = await anybody.post("/api/v1/auth/login", content=endless())  # pyright: ignore[reportArgumentType]
        assert [(a.status_code, a.json()["code"]) for a in (announced, streamed)] == [(413, "PAYLOAD_TOO_LARGE")] * 2

    async def test_what_was_not_expected_tells_a_stranger_nothing(
        self, app: FastAPI, login: Login, capsys: pytest.CaptureFixture[str]
    ) -> None:
        person = await login()
        app.state.services.platforms = None
        answer = await person.get("/chat/channels/platforms")
        body = answer.json()
        assert (answer.status_code, body["code"], body["error"]) == (
            500,
            "INTERNAL_ERROR",
            "Something went wrong on our side",
        )
        assert set(body) == {"success", "error", "code", "details"}
        assert set(body["details"]) == {"reference"}
        [line] = [line for line in capsys.readouterr().out.splitlines() if "request.failed" in line]
        assert body["details"]["reference"] in line
        assert person.tenant.email not in line
