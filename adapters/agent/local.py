"""A model without a network: deterministic, streams word by word, calls tools. It makes the whole system work offline.

It quotes what it answers in full, so that in demos and tests every reply can be matched to its question. It calls a
tool when asked plainly: `/tool name {json}`, or for the time of day. Not a language model, and not trying to be one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Final

from adapters.models import Provider, register_model
from domain.agent import ChatMessage, ModelEvent, ModelRequest, Role, TextDelta, ToolCall, Usage

_WRAPPING: Final = re.compile(r"\[USER_MESSAGE_(?:START|END)(?: [^\]\n]*)?\]\n?")
_WORD: Final = re.compile(r"\s*\S+|\s+\Z")
_ASKED_TOOL: Final = re.compile(r"/tool\s+([\w-]+)\s*(\{.*\})?\s*", re.DOTALL)
_ASKED_TIME: Final = re.compile(r"\bwhat(?:'s| is)? (?:the )?time(?: is it)?\b", re.IGNORECASE)


@register_model("local")
class LocalModel:
    """The adapter; it needs nothing of the outside."""

    def __init__(self, provider: Provider) -> None:
        del provider

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream the answer. Equal requests give equal answers; a failure of its own does not exist."""
        question = asked(request.messages)
        results = _tool_results(request.messages)
        call = None if results else _wanted_call(question, request)
        said = "" if call is not None else _answer(question, results)
        for word in _WORD.findall(said):
            yield TextDelta(word)
        if call is not None:
            yield call
        counted = sum(len(message.content.split()) for message in request.messages)
        yield Usage(input_tokens=counted, output_tokens=len(said.split()))


def asked(messages: tuple[ChatMessage, ...]) -> str:
    """Return what people wrote since the last finished answer, without the delimiters round it."""
    found: list[str] = []
    for message in reversed(messages):
        if message.role is Role.ASSISTANT and not message.tool_calls:
            break
        if message.role is Role.USER:
            found.append(_WRAPPING.sub("", message.content).strip())
    return "\n\n".join(reversed(found))


def _tool_results(messages: tuple[ChatMessage, ...]) -> list[tuple[str, str]]:
    """Return (tool, result) of every call since the last finished answer."""
    names: dict[str, str] = {}
    results: list[tuple[str, str]] = []
    for message in messages:
        if message.role is Role.ASSISTANT:
            if not message.tool_calls:
                results.clear()
            names.update({call.id: call.name for call in message.tool_calls})
        elif message.role is Role.TOOL:
            results.append((names.get(message.tool_call_id or "", "tool"), message.content))
    return results


def _wanted_call(question: str, request: ModelRequest) -> ToolCall | None:
    offered = {tool.name for tool in request.tools}
    found = _ASKED_TOOL.fullmatch(question)
    name, arguments = (found.group(1), found.group(2) or "{}") if found else ("", "{}")
    if found is None and _ASKED_TIME.search(question):
        name = "current_time"
    if name not in offered:
        return None
    # The same question gets the same id: a repeated attempt is the same call.
    return ToolCall(f"call_{hashlib.sha256(question.encode()).hexdigest()[:16]}", name, _compact(arguments))


def _compact(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except (ValueError, RecursionError):
        # A real model writes broken JSON too; the tool's own check says so.
        return arguments


def _answer(question: str, results: list[tuple[str, str]]) -> str:
    told = [f"{name} says: {result}" for name, result in results]
    return "\n\n".join([*told, f"You said: {question}" if question else "You said nothing."])
