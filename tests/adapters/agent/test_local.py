"""The offline model."""

from __future__ import annotations

import httpx2
import pytest

from adapters.models import AgentModels
from domain.agent import ChatMessage, ModelEvent, ModelRequest, Role, TextDelta, ToolCall, ToolSpec, Usage

TIME = ToolSpec("current_time", "Tell the time")


def user(text: str, nonce: str = "1f2e3d4c") -> ChatMessage:
    return ChatMessage(Role.USER, f"[USER_MESSAGE_START {nonce}]\n{text}\n[USER_MESSAGE_END {nonce}]")


async def ask(http: httpx2.AsyncClient, *messages: ChatMessage, tools: tuple[ToolSpec, ...] = ()) -> list[ModelEvent]:
    system = ChatMessage(Role.SYSTEM, "Be brief.")
    request = ModelRequest("local", (system, *messages), tools)
    return [event async for event in AgentModels(http).get("local").stream(request)]


def text(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def calls(events: list[ModelEvent]) -> list[ToolCall]:
    return [event for event in events if isinstance(event, ToolCall)]


class TestStream:
    @pytest.mark.parametrize(
        "said", ["hello", "two\nlines  with   spaces", "x [USER] y", "ends with space \u2003.", "👍", "/tool"]
    )
    async def test_quotes_in_full_what_it_answers(self, http: httpx2.AsyncClient, said: str) -> None:
        assert text(await ask(http, user(said))) == f"You said: {said}"

    async def test_streams_word_by_word_and_reports_usage(self, http: httpx2.AsyncClient) -> None:
        events = await ask(http, user("a b"))
        assert events[:4] == [TextDelta("You"), TextDelta(" said:"), TextDelta(" a"), TextDelta(" b")]
        assert events[4] == Usage(input_tokens=8, output_tokens=4)

    async def test_answers_only_what_is_not_answered_yet(self, http: httpx2.AsyncClient) -> None:
        events = await ask(http, user("old"), ChatMessage(Role.ASSISTANT, "You said: old"), user("one"), user("two"))
        assert text(events) == "You said: one\n\ntwo"

    async def test_takes_the_plain_delimiters_too(self, http: httpx2.AsyncClient) -> None:
        wrapped = ChatMessage(Role.USER, "[USER_MESSAGE_START]\nhi\n[USER_MESSAGE_END]")
        assert text(await ask(http, wrapped)) == "You said: hi"

    async def test_says_something_to_nothing(self, http: httpx2.AsyncClient) -> None:
        assert text(await ask(http)) == "You said nothing."


class TestTools:
    async def test_calls_one_when_asked_plainly(self, http: httpx2.AsyncClient) -> None:
        events = await ask(http, user('/tool current_time {"timezone": "Europe/Berlin"}'), tools=(TIME,))
        (call,) = calls(events)
        assert (call.name, call.arguments) == ("current_time", '{"timezone": "Europe/Berlin"}')
        assert text(events) == ""

    @pytest.mark.parametrize("said", ["What time is it?", "what's the time", "/tool current_time"])
    async def test_calls_the_clock_when_asked_for_the_time(self, http: httpx2.AsyncClient, said: str) -> None:
        (call,) = calls(await ask(http, user(said), tools=(TIME,)))
        assert (call.name, call.arguments) == ("current_time", "{}")

    async def test_the_same_question_is_the_same_call(self, http: httpx2.AsyncClient) -> None:
        first, again = [calls(await ask(http, user("what time is it"), tools=(TIME,))) for _ in range(2)]
        assert first == again

    async def test_calls_nothing_that_is_not_offered(self, http: httpx2.AsyncClient) -> None:
        assert calls(await ask(http, user("/tool current_time {}"))) == []
        assert calls(await ask(http, user("/tool rm {}"), tools=(TIME,))) == []

    async def test_hands_broken_arguments_on_as_a_model_would(self, http: httpx2.AsyncClient) -> None:
        (call,) = calls(await ask(http, user("/tool current_time {broken}"), tools=(TIME,)))
        assert call.arguments == "{broken}"

    async def test_answers_after_a_result(self, http: httpx2.AsyncClient) -> None:
        question = user("what time is it")
        (call,) = calls(await ask(http, question, tools=(TIME,)))
        asked = ChatMessage(Role.ASSISTANT, "", (call,))
        told = ChatMessage(Role.TOOL, "12:00", tool_call_id=call.id)
        events = await ask(http, question, asked, told, tools=(TIME,))
        assert calls(events) == []
        assert text(events) == "current_time says: 12:00\n\nYou said: what time is it"

    async def test_an_earlier_turns_result_is_not_this_ones(self, http: httpx2.AsyncClient) -> None:
        call = ToolCall("c1", "current_time", "{}")
        history = (
            user("what time is it"),
            ChatMessage(Role.ASSISTANT, "", (call,)),
            ChatMessage(Role.TOOL, "12:00", tool_call_id="c1"),
            ChatMessage(Role.ASSISTANT, "12:00"),
        )
        assert text(await ask(http, *history, user("thanks"))) == "You said: thanks"
