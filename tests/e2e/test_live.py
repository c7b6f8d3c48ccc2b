"""An operator watches a session live: what the socket says equals what REST says."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish


async def rest(talk: Talk, token: str, path: str) -> Any:
    answer = await talk.system.http.get(
        f"{talk.system.api_url}/api/v1{path}", headers={"Authorization": f"Bearer {token}"}
    )
    return answer.json()["data"]


@asynccontextmanager
async def cable(system: System, token: str) -> AsyncGenerator[ClientConnection]:
    url = system.api_url.replace("http", "ws") + f"/cable?token={token}"
    async with connect(url, subprotocols=["actioncable-v1-json"], proxy=None) as socket:  # pyright: ignore[reportArgumentType]
        yield socket


async def subscribe(socket: ClientConnection, channel: str, **params: str) -> str:
    """Subscribe and return the verdict's type."""
    identifier = json.dumps({"channel": channel, **params})
    await socket.send(json.dumps({"command": "subscribe", "identifier": identifier}))
    async for frame in socket:
        found = json.loads(frame)
        if found.get("identifier") == identifier and "type" in found:
            return str(found["type"])
    return "closed"


async def until(socket: ClientConnection, kind: str, **wanted: object) -> list[dict[str, Any]]:
    """Collect events until one of a type, with these values, has come."""
    seen: list[dict[str, Any]] = []
    async for frame in socket:
        found: Any = json.loads(frame).get("message")
        if isinstance(found, dict):
            message = cast("dict[str, Any]", found)
            seen.append(message)
            if message.get("type") == kind and all(message.get(name) == value for name, value in wanted.items()):
                break
    return seen


async def watched(system: System, provider: str = "local") -> tuple[Talk, str, Any]:
    """Return a talk with a session, its operator's token and the session's row."""
    talk = await system.open_talk("telegram", Wish(password_hash=HASH, provider=provider))
    await talk.say("alice", "hello")
    await talk.replies(1)
    await talk.until("SELECT delivery_status FROM chat_messages WHERE direction = 'outbound'", "sent")
    await talk.until("SELECT count(*) FROM outbox", 0)
    [session] = await talk.rows(
        "SELECT s.id, c.conversation_id FROM chat_sessions s JOIN ai_conversations c ON c.id = s.ai_conversation_id"
    )
    return talk, await talk.token(), session


class TestConversation:
    async def test_deltas_add_up_to_the_answer_and_the_answer_is_the_one_of_rest(self, system: System) -> None:
        talk, token, session = await watched(system)
        async with cable(system, token) as socket:
            assert await subscribe(socket, "AiConversationChannel", conversation_id=session.conversation_id) == (
                "confirm_subscription"
            )
            await talk.say("alice", "tell me more about it")
            seen = await until(socket, "ai_response_complete")
        answer = seen[-1]["message"]
        deltas = [event for event in seen if event["type"] == "ai_response_streaming"]
        assert "".join(delta["delta"] for delta in deltas) == answer["content"]
        assert [delta["seq"] for delta in deltas] == list(range(len(deltas)))
        assert {delta["message_id"] for delta in deltas} == {answer["id"]}
        messages = (await rest(talk, token, f"/ai/conversations/{session.conversation_id}/messages"))["messages"]
        assert messages[-1] == answer
        [created] = [event["message"] for event in seen if event["type"] == "message_created"]
        assert messages[-2] == created


class TestKilledWorker:
    async def test_deltas_start_over_and_the_answer_is_shown_once(self, system: System) -> None:
        talk, token, session = await watched(system, "openai_compatible")
        text = " ".join(f"word {number}" for number in range(60))
        await system.simulator.post("model/script", {"replies": [{"match": "recite", "text": text, "times": 2}]})
        async with cable(system, token) as socket:
            await subscribe(socket, "AiConversationChannel", conversation_id=session.conversation_id)
            gate = await system.simulator.fault("accept_then_hold", platform="model", times=1)
            await talk.say("alice", "recite")
            seen = await until(socket, "ai_response_streaming")
            assert await system.simulator.held(gate)
            await system.worker.kill()
            await system.simulator.release(gate)
            system.worker.start()
            seen += await until(socket, "ai_response_complete")
        deltas = [event for event in seen if event["type"] == "ai_response_streaming"]
        attempts = [delta["attempt"] for delta in deltas]
        assert attempts == sorted(attempts)
        assert {1, 2} <= set(attempts)
        [first, last] = [[delta for delta in deltas if delta["attempt"] == attempt] for attempt in (1, attempts[-1])]
        for stream in (first, last):
            assert [delta["seq"] for delta in stream] == list(range(len(stream)))
        answer = seen[-1]["message"]
        assert "".join(delta["delta"] for delta in last) == answer["content"] == text
        cut = "".join(delta["delta"] for delta in first)
        assert text.startswith(cut)
        assert 0 < len(cut) < len(text)
        assert {delta["message_id"] for delta in deltas} == {answer["id"]}
        messages = (await rest(talk, token, f"/ai/conversations/{session.conversation_id}/messages"))["messages"]
        assert [message["id"] for message in messages].count(answer["id"]) == 1
        assert len(messages) == 4
        await talk.until("SELECT count(*) FROM chat_messages WHERE delivery_status = 'sent'", 2)
        assert [reply["text"] for reply in await talk.replies(2)][1:] == [text]


class TestSession:
    async def test_old_view_and_events_give_the_fresh_view(self, system: System) -> None:
        talk, token, session = await watched(system)
        path = f"/chat/sessions/{session.id}/messages"
        view = {one["id"]: one for one in (await rest(talk, token, path))["items"]}
        summary: dict[str, Any] = {}
        async with cable(system, token) as socket:
            await subscribe(socket, "ChatSessionChannel", session_id=str(session.id))
            await talk.say("alice", "once more")
            for event in await until(socket, "message_status", delivery_status="sent"):
                message = event.get("message")
                if message is not None:
                    assert view.get(message["id"], {"version": 0})["version"] < message["version"]
                    view[message["id"]] = message
                if event["type"] == "session_updated":
                    assert summary.get("version", 0) <= event["session"]["version"]
                    summary = event["session"]
        fresh = {one["id"]: one for one in (await rest(talk, token, path))["items"]}
        assert view == fresh
        details = (await rest(talk, token, f"/chat/sessions/{session.id}"))["session"]
        assert {name: details[name] for name in summary if name != "version"} == {
            name: value for name, value in summary.items() if name != "version"
        }

    async def test_a_stranger_is_refused_like_one_who_guesses(self, system: System) -> None:
        _, _, session = await watched(system)
        stranger = await system.open_talk("telegram", Wish(password_hash=HASH))
        async with cable(system, await stranger.token()) as socket:
            for wanted in (str(session.id), "5f8f5a3e-0000-4000-8000-000000000000"):
                assert await subscribe(socket, "ChatSessionChannel", session_id=wanted) == "reject_subscription"
            assert await subscribe(socket, "AiConversationChannel", conversation_id=session.conversation_id) == (
                "reject_subscription"
            )
