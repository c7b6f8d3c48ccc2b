"""The OpenAI-compatible provider against a scripted endpoint."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx2
import pytest

from adapters.models import AgentModels
from domain.agent import ChatMessage, ModelEvent, ModelRequest, Role, TextDelta, ToolCall, ToolSpec, Usage
from domain.errors import ModelError
from tests.adapters.support import Drop, FakeServer, Reply

MESSAGES = (ChatMessage(Role.SYSTEM, "Be brief."), ChatMessage(Role.USER, "hi"))
CALL = ToolCall("call_1", "current_time", '{"timezone": "UTC"}')


def chunk(delta: dict[str, object], finish: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def stream(*chunks: dict[str, object], cut_after: int | None = None) -> Reply:
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    last: dict[str, object] = {**chunk({}), "choices": [], "usage": usage}
    lines = "".join(f"data: {json.dumps(one)}\n\n" for one in (*chunks, last)) + "data: [DONE]\n\n"
    return Reply(200, lines.encode(), {"content-type": "text/event-stream"}, cut_after)


HELLO = stream(chunk({"role": "assistant", "content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))


async def ask(http: httpx2.AsyncClient, server: FakeServer, **request: object) -> list[ModelEvent]:
    models = AgentModels(http, f"{server.origin}/v1", "key-1")
    asked = ModelRequest(**({"model": "m", "messages": MESSAGES} | request))  # pyright: ignore[reportArgumentType]
    return [event async for event in models.get("openai_compatible").stream(asked)]


class TestStream:
    async def test_text_and_usage(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(HELLO)
        events = await ask(http, server, max_tokens=50, temperature=0.5)
        assert events == [TextDelta("Hel"), TextDelta("lo"), Usage(11, 3)]
        (received,) = server.received
        assert received.target == "/v1/chat/completions"
        assert received.headers["authorization"] == "Bearer key-1"
        body = received.json
        assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
        assert (body["model"], body["stream"], body["temperature"]) == ("m", True, 0.5)
        assert 50 in (body.get("max_tokens"), body.get("max_completion_tokens"))

    async def test_tools_are_offered_and_called(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        function = {"name": "current_time", "arguments": ""}
        first = chunk(
            {
                "role": "assistant",
                "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}],
            }
        )
        rest = [
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
            for piece in ('{"time', 'zone": "UTC"}')
        ]
        server.will(stream(first, *rest, chunk({}, "tool_calls")))
        schema: dict[str, object] = {"type": "object", "properties": {"timezone": {"type": "string"}}}
        events = await ask(http, server, tools=(ToolSpec("current_time", "Tell the time", schema),))
        assert isinstance(events[0], ToolCall)
        assert (events[0].id, events[0].name, json.loads(events[0].arguments)) == (
            "call_1",
            "current_time",
            {"timezone": "UTC"},
        )
        (tool,) = server.received[0].json["tools"]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        assert tool["function"]["name"] == "current_time"
        assert "timezone" in tool["function"]["parameters"]["properties"]

    async def test_a_tools_result_goes_back(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(HELLO)
        history = (
            *MESSAGES,
            ChatMessage(Role.ASSISTANT, "", (CALL,)),
            ChatMessage(Role.TOOL, "12:00", tool_call_id="call_1"),
        )
        await ask(http, server, messages=history)
        sent = cast("list[dict[str, Any]]", server.received[0].json["messages"])
        assert sent[2]["tool_calls"][0]["id"] == "call_1"
        function = sent[2]["tool_calls"][0]["function"]
        assert (function["name"], json.loads(function["arguments"])) == ("current_time", {"timezone": "UTC"})
        assert sent[3] == {"role": "tool", "tool_call_id": "call_1", "content": "12:00"}


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "retryable"),
        [
            (400, False),
            (401, False),
            (403, False),
            (404, False),
            (422, False),
            (408, True),
            (429, True),
            (500, True),
            (503, True),
        ],
    )
    async def test_by_status_and_without_retries(
        self, http: httpx2.AsyncClient, server: FakeServer, status: int, retryable: bool
    ) -> None:
        server.will(
            Reply(status, {"error": {"message": "no sk-secret", "type": "x", "code": "y"}}, {"retry-after": "17"})
        )
        with pytest.raises(ModelError) as refused:
            await ask(http, server)
        assert refused.value.retryable is retryable
        assert refused.value.retry_after_s == 17.0
        assert "sk-secret" not in refused.value.message
        assert len(server.received) == 1

    @pytest.mark.parametrize("line", [Drop(), Reply(200, b"not a stream"), stream(cut_after=0), stream(chunk({"content": "Hel"})),
                                      stream(chunk({"content": "Hello"}), cut_after=60)])  # fmt: skip
    async def test_half_an_answer_is_none(
        self, http: httpx2.AsyncClient, server: FakeServer, line: Reply | Drop
    ) -> None:
        server.will(line)
        with pytest.raises(ModelError) as broken:
            await ask(http, server)
        assert broken.value.retryable
        assert len(server.received) == 1

    async def test_nobody_there(self, http: httpx2.AsyncClient) -> None:
        models = AgentModels(http, "http://127.0.0.1:1/v1")
        with pytest.raises(ModelError) as refused:
            _ = [event async for event in models.get("openai_compatible").stream(ModelRequest("m", MESSAGES))]
        assert refused.value.retryable
