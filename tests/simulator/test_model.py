"""The model's endpoint, asked by the official client and by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import openai
import pytest

from simulator.client import SimulatorClient

QUESTION = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "How are you?"}]


@pytest.fixture
def key() -> str:
    return uuid4().hex


@pytest.fixture
async def client(sim: SimulatorClient, key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{sim.origin}/v1", api_key=key, max_retries=0) as client:
        yield client


async def ask(client: openai.AsyncOpenAI, **more: Any) -> Any:
    """Ask; untyped, since the client's overloads do not know a flag that a test chooses."""
    create: Any = client.chat.completions.create
    return await create(model="m", messages=QUESTION, **more)


class TestCompletions:
    async def test_quotes_the_question(self, client: openai.AsyncOpenAI) -> None:
        answer = await ask(client)
        assert answer.choices[0].message.content == "You wrote: How are you?"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens

    async def test_streams_with_usage_at_the_end(self, client: openai.AsyncOpenAI) -> None:
        options = {"include_usage": True}
        stream = await ask(client, stream=True, stream_options=options)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "You wrote: How are you?"
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None

    @pytest.mark.parametrize("stream", [False, True])
    async def test_scripted_tool_calls(
        self, client: openai.AsyncOpenAI, sim: SimulatorClient, key: str, stream: bool
    ) -> None:
        reply = {"api_key": key, "match": "How", "tool_calls": [{"name": "add", "arguments": {"a": 1}, "id": "t1"}]}
        await sim.post("model/script", {"replies": [reply]})
        answer = await ask(client, stream=stream)
        if stream:
            chunks = [chunk async for chunk in answer]
            call = next(chunk.choices[0].delta.tool_calls[0] for chunk in chunks if chunk.choices[0].delta.tool_calls)
        else:
            call = answer.choices[0].message.tool_calls[0]
        assert (call.id, call.function.name, call.function.arguments) == ("t1", "add", '{"a":1}')
        again = await ask(client)
        assert again.choices[0].message.content == "You wrote: How are you?"

    async def test_lists_models(self, client: openai.AsyncOpenAI) -> None:
        assert [model.id async for model in client.models.list()] == ["simulated"]

    async def test_refuses_what_is_no_request(self, sim: SimulatorClient, http: httpx2.AsyncClient) -> None:
        for body in (b"{", b"{}"):
            answer = await http.post(f"{sim.origin}/v1/chat/completions", content=body)
            assert answer.status_code == 400


class TestFaults:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_rate_limit(self, client: openai.AsyncOpenAI, sim: SimulatorClient, key: str, stream: bool) -> None:
        await sim.fault("rate_limited", platform="model", channel=key, retry_after_s=9)
        with pytest.raises(openai.RateLimitError) as caught:
            await ask(client, stream=stream)
        assert caught.value.response.headers["retry-after"] == "9.000"

    @pytest.mark.parametrize("stream", [False, True])
    async def test_server_error(self, client: openai.AsyncOpenAI, sim: SimulatorClient, key: str, stream: bool) -> None:
        await sim.fault("server_error", platform="model", channel=key)
        with pytest.raises(openai.InternalServerError):
            await ask(client, stream=stream)

    async def test_wrong_key(self, client: openai.AsyncOpenAI, sim: SimulatorClient, key: str) -> None:
        await sim.fault("error", platform="model", channel=key, error="invalid_auth")
        with pytest.raises(openai.AuthenticationError):
            await ask(client)

    async def test_truncated_stream(self, sim: SimulatorClient, key: str, http: httpx2.AsyncClient) -> None:
        await sim.fault("truncate", platform="model", channel=key)
        body = {"model": "m", "messages": QUESTION, "stream": True}
        lines: list[str] = []
        with pytest.raises(httpx2.RemoteProtocolError):
            async with http.stream(
                "POST", f"{sim.origin}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}
            ) as answer:
                lines += [line async for line in answer.aiter_lines()]
        assert "data: [DONE]" not in lines

    @pytest.mark.parametrize("stream", [False, True])
    async def test_hangs_until_released(
        self, client: openai.AsyncOpenAI, sim: SimulatorClient, key: str, stream: bool
    ) -> None:
        fault = await sim.fault("hold", platform="model", channel=key)
        asking = asyncio.create_task(ask(client, stream=stream))
        assert await sim.held(fault)
        assert await sim.release(fault) == 1
        answer = await asking
        if stream:
            assert [chunk async for chunk in answer]
        calls = await sim.calls(platform="model", channel=key, timeout_s=30)
        assert [(call["fault"], call["status"]) for call in calls] == [("hold", 200)]
