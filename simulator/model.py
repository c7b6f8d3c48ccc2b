"""An OpenAI-compatible model: `/v1/chat/completions` (streamed or not) and `/v1/models`, scripted or quoting.

https://platform.openai.com/docs/api-reference/chat. Without a script the reply quotes the last user message, so that any reply
can be matched to its question. Scripts are answered in the order posted, each once, to the first request they match. Faults:
platform "model", method "chat.completions", channel = the API key. Not a language model.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, cast

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from simulator.api_call import Answer, answer_call, json_response, new_call
from simulator.args import BadArgumentsError, parse_object
from simulator.faults import BEFORE, Fault, Faults
from simulator.protocol import drop_connection
from simulator.records import Call, Json
from simulator.state import World

METHOD: Final = "chat.completions"
_FAULTS_BEFORE: Final = BEFORE | {"drop_before_accept", "accept_then_drop", "accept_then_error"}
_PIECE: Final = 12


class ToolCall(BaseModel):
    """A tool call that the model makes."""

    model_config = ConfigDict(extra="forbid")

    name: str
    arguments: Json = {}
    id: str | None = None


class Script(BaseModel):
    """One answer of the model. `match`: only to a request whose last user message has this text."""

    model_config = ConfigDict(extra="forbid")

    api_key: str | None = None
    match: str | None = None
    text: str = ""
    tool_calls: list[ToolCall] = []
    finish_reason: str | None = None
    chunk_delay_s: float = 0.0
    times: int | None = 1
    """How many requests it answers; None: all."""


@dataclass(slots=True)
class _Reply:
    id: str
    model: str
    text: str
    tool_calls: list[Json]
    finish: str
    usage: Json
    chunk_delay_s: float


class ModelApi:
    """The model's endpoints."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._scripts: list[Script] = []

    def script(self, scripts: list[Script]) -> None:
        """Add answers."""
        self._scripts += scripts

    def forget(self) -> None:
        """Drop all scripts."""
        self._scripts.clear()

    async def models(self, request: Request) -> Response:
        """List the one model; every other name is answered as well."""
        return json_response(
            {"object": "list", "data": [{"id": "simulated", "object": "model", "owned_by": "simulator"}]}
        )

    async def completions(self, request: Request) -> Response:
        """Answer one request."""
        try:
            body = parse_object(await request.body())
        except BadArgumentsError as error:
            return json_response(
                model_error(f"We could not parse the JSON body: {error}", "invalid_request_error"), 400
            )
        call = new_call("model", None, METHOD, body)
        call.channel = request.headers.get("authorization", "").removeprefix("Bearer ") or None
        if not isinstance(body.get("messages"), list) or not body["messages"]:
            call.status, call.error = 400, "missing messages"
            self._world.note_call(call)
            return json_response(model_error("Missing required parameter: 'messages'.", "invalid_request_error"), 400)
        if body.get("stream") is not True:
            return await answer_call(
                self._world,
                self._faults,
                call,
                lambda: Answer(_completion(self._reply(call)), accepted=True),
                refuse_model,
            )
        return await self._stream(call)

    async def _stream(self, call: Call) -> Response:
        fault = self._faults.take(call)
        kind = fault.script.kind if fault else ""
        if fault is not None and kind in _FAULTS_BEFORE:
            return await answer_call(self._world, _Only(fault, self._world), call, lambda: Answer({}), refuse_model)
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.script.delay_s)
        if fault is not None and kind == "hold":
            await fault.pass_gate()
        reply = self._reply(call)
        call.status, call.accepted = 200, True
        options = call.body.get("stream_options")
        usage = isinstance(options, dict) and cast("Json", options).get("include_usage") is True
        return _Stream(self._world, call, reply, fault, usage=usage)

    def _reply(self, call: Call) -> _Reply:
        asked = _last_user_text(call.body)
        script = self._take_script(call, asked)
        text = script.text if script else f"You wrote: {asked}"
        calls = [_tool_call(tool) for tool in script.tool_calls] if script else []
        finish = (script.finish_reason if script else None) or ("tool_calls" if calls else "stop")
        prompt, completion = len(orjson.dumps(call.body["messages"])) // 4 + 1, len(text) // 4 + 1
        usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        model = str(call.body.get("model") or "simulated")
        delay = script.chunk_delay_s if script else 0.0
        return _Reply(f"chatcmpl-{uuid.uuid4().hex[:24]}", model, text, calls, finish, usage, delay)

    def _take_script(self, call: Call, asked: str) -> Script | None:
        for script in self._scripts:
            if script.api_key in {None, call.channel} and (script.match is None or script.match in asked):
                if script.times is not None:
                    script.times -= 1
                    if script.times <= 0:
                        self._scripts.remove(script)
                return script
        return None


class _Only(Faults):
    """The one fault that was already taken."""

    def __init__(self, fault: Fault, world: World) -> None:
        super().__init__(world.changes)
        self._fault = fault

    def take(self, call: Call) -> Fault | None:
        """Return it."""
        return self._fault


class _Stream(StreamingResponse):
    """Server-sent chunks; `truncate` closes the connection in the middle, `accept_then_hold` waits there."""

    def __init__(self, world: World, call: Call, reply: _Reply, fault: Fault | None, *, usage: bool) -> None:
        self._world = world
        self._call = call
        self._fault = fault
        super().__init__(self._pieces(reply, usage=usage), media_type="text/event-stream")

    async def _pieces(self, reply: _Reply, *, usage: bool) -> AsyncIterator[bytes]:
        chunks = _chunks(reply, usage=usage)
        kind = self._fault.script.kind if self._fault else ""
        try:
            for index, chunk in enumerate(chunks):
                if index == len(chunks) // 2 and self._fault is not None:
                    if kind == "accept_then_hold":
                        await self._fault.pass_gate()
                    if kind == "truncate":
                        raise _TruncatedError
                yield b"data: " + orjson.dumps(chunk) + b"\n\n"
                if reply.chunk_delay_s:
                    await asyncio.sleep(reply.chunk_delay_s)
            yield b"data: [DONE]\n\n"
        finally:
            self._world.note_call(self._call)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, or break off."""
        try:
            await super().__call__(scope, receive, send)
        except* _TruncatedError:
            await drop_connection(scope)


class _TruncatedError(Exception):
    pass


def _last_user_text(body: Json) -> str:
    for message in reversed(cast("list[object]", body["messages"])):
        fields = cast("Json", message) if isinstance(message, dict) else {}
        if fields.get("role") == "user":
            return _text(fields.get("content"))
    return ""


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[object]", content) if isinstance(content, list) else []
    texts = [cast("Json", part).get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _tool_call(tool: ToolCall) -> Json:
    return {
        "id": tool.id or f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": tool.name, "arguments": orjson.dumps(tool.arguments).decode()},
    }


def _envelope(reply: _Reply, kind: str) -> Json:
    return {"id": reply.id, "object": kind, "created": int(time.time()), "model": reply.model}


def _completion(reply: _Reply) -> Json:
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool_calls:
        message["tool_calls"] = reply.tool_calls
    choice = {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
    return _envelope(reply, "chat.completion") | {"choices": [choice], "usage": reply.usage}


def _chunks(reply: _Reply, *, usage: bool) -> list[Json]:
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    for begin in range(0, len(reply.text), _PIECE):
        deltas.append({"content": reply.text[begin : begin + _PIECE]})  # noqa: PERF401  (typed as Json)
    for index, tool_call in enumerate(reply.tool_calls):
        numbered: Json = {"index": index}
        deltas.append({"tool_calls": [numbered | tool_call]})
    base = _envelope(reply, "chat.completion.chunk")
    chunks = [base | _choice(delta, None) for delta in deltas]
    chunks.append(base | _choice({}, reply.finish))
    if usage:
        last: Json = {"choices": [], "usage": reply.usage}
        chunks.append(base | last)
    return chunks


def _choice(delta: Json, finish: str | None) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def model_error(message: str, kind: str, code: str | None = None) -> Json:
    """Return an error as the service words it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def refuse_model(fault: Fault) -> Answer:
    """Return the refusal that a script asks for."""
    script = fault.script
    if script.kind == "rate_limited":
        wait = fault.wait_s(time.monotonic())
        body = model_error("Rate limit reached for requests", "requests", "rate_limit_exceeded")
        return Answer(body, 429, {"retry-after": f"{wait:.3f}"}, error="rate_limit_exceeded", retry_after_s=wait)
    if script.kind == "server_error":
        body = model_error("The server had an error while processing your request.", "server_error")
        return Answer(body, script.status, error="server_error")
    if script.error == "invalid_auth":
        return Answer(
            model_error("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
            401,
            error="invalid_api_key",
        )
    return Answer(model_error(script.error, "invalid_request_error", script.error), 400, error=script.error)
