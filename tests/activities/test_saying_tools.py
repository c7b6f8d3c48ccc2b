"""Tools that answer the person with more than words: what they are told becomes what is sent."""

from __future__ import annotations

import json
from typing import cast
from uuid import uuid4

import pytest

from activities.replies import Said
from activities.tools import TOOLS, ToolContext, ToolResult, run_tool, tool_specs
from db.session import Database
from db.turns import StepRow
from domain.outbound import Buttons, Location, Menu

CONTEXT = ToolContext(cast("Database", None), uuid4(), uuid4())


async def said(name: str, arguments: object) -> Said:
    """Run a tool and read what it stored, as the reply does."""
    result = await run_tool(CONTEXT, name, json.dumps(arguments))
    return Said.of(StepRow(2, "tool", name, {}, json.loads(json.dumps(result.as_json()))))


class TestSaying:
    async def test_buttons(self) -> None:
        found = await said("send_buttons", {"text": "Well?", "buttons": [{"label": "Yes", "value": "y"}]})
        [extra] = found.extras
        assert isinstance(extra, Buttons)
        assert (found.text, found.closing, extra.buttons[0].value) == ("Well?", False, "y")

    async def test_a_menu(self) -> None:
        choices = [{"label": "S", "value": "s", "description": "small"}, {"label": "L", "value": "l"}]
        found = await said("send_menu", {"text": "Size?", "choices": choices})
        [extra] = found.extras
        assert isinstance(extra, Menu)
        assert [one.description for one in extra.choices] == ["small", None]

    async def test_a_place_may_go_without_words(self) -> None:
        found = await said("send_location", {"location": {"latitude": 1.5, "longitude": 2}})
        assert (found.text, found.extras) == ("", (Location(latitude=1.5, longitude=2),))

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("send_buttons", {"text": "Well?", "buttons": []}),
            ("send_buttons", {"text": "Well?", "buttons": [{"label": "Yes"}]}),
            ("send_buttons", {"text": " ", "buttons": [{"label": "Yes", "value": "y"}]}),
            ("send_menu", {"text": "x", "choices": [{"label": "a", "value": "a"}, {"label": "a", "value": "b"}]}),
            ("send_location", {"location": {"latitude": 100, "longitude": 0}}),
        ],
    )
    async def test_wrong_arguments_get_an_answer_and_end_no_turn(self, name: str, arguments: object) -> None:
        result = await run_tool(CONTEXT, name, json.dumps(arguments))
        assert not result.terminal
        assert result.text.startswith("The arguments do not fit")

    async def test_a_hand_off_is_still_the_last_word(self) -> None:
        step = StepRow(2, "tool", "transfer_to_human", {}, ToolResult("Bye", terminal=True).as_json())
        assert Said.of(step) == Said("Bye", closing=True)

    def test_models_are_shown_their_schemas(self) -> None:
        for spec in tool_specs(name for name in TOOLS if name.startswith("send_")):
            assert spec.parameters["type"] == "object"
            assert json.dumps(spec.parameters)
