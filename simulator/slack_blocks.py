"""Slack's interactive blocks: what people see of them, what is refused, and the action that a press tells.

https://docs.slack.dev/reference/block-kit: 25 elements in an actions block, button texts of 75 and values of 2000 characters,
`action_id` unique in its block; options of 75. Pure; called by slack_text.py and slack_play.py.
"""

from __future__ import annotations

from typing import Final, cast

from simulator.choices import choice
from simulator.records import Json

_ELEMENTS_MAX: Final = 25
_LABEL_MAX: Final = 75
_VALUE_MAX: Final = {"button": 2000, "static_select": 150}


class BlocksError(ValueError):
    """The blocks are refused; the text is Slack's detail."""


def read_choices(blocks: list[object]) -> list[Json]:
    """Return the buttons and options as people see them. Raises BlocksError."""
    found: list[Json] = []
    for index, block in enumerate(blocks):
        fields = _object(block)
        if fields.get("type") != "actions":
            continue
        elements = [_object(one) for one in _list(fields.get("elements"))]
        ids = [str(one.get("action_id")) for one in elements]
        if not 1 <= len(elements) <= _ELEMENTS_MAX or len(set(ids)) < len(ids):
            raise BlocksError(f"wrong elements [json-pointer:/blocks/{index}/elements]")
        for element in elements:
            found += _element(element)
    return found


def pressed_action(blocks: list[object], value: str) -> Json | None:
    """Return the action that choosing this value makes; None where no block offers it."""
    for block in blocks:
        for one in _list(_object(block).get("elements")):
            element = _object(one)
            base: Json = {"type": element.get("type"), "action_id": element.get("action_id")}
            if element.get("type") == "button" and element.get("value") == value:
                return base | {"text": element.get("text"), "value": value}
            for option in map(_object, _list(element.get("options"))):
                if option.get("value") == value:
                    return base | {"selected_option": option}
    return None


def _element(element: Json) -> list[Json]:
    kind = element.get("type")
    if kind == "button":
        return [choice(_label(element), _value(element, "button"), element.get("url"))]
    if kind == "static_select":
        options = [_object(one) for one in _list(element.get("options"))]
        if not 1 <= len(options) <= 100:
            raise BlocksError("between 1 and 100 options [json-pointer:/blocks/elements/options]")
        return [choice(_label(one), _value(one, "static_select")) for one in options]
    raise BlocksError(f"unsupported type: {kind} [json-pointer:/blocks/elements]")


def _label(fields: Json) -> str:
    text = str(_object(fields.get("text")).get("text") or "")
    if not 1 <= len(text) <= _LABEL_MAX:
        raise BlocksError("must be less than 76 characters [json-pointer:/blocks/elements/text]")
    return text


def _value(fields: Json, kind: str) -> object:
    if len(str(fields.get("value") or "")) > _VALUE_MAX[kind]:
        raise BlocksError("value too long [json-pointer:/blocks/elements/value]")
    return fields.get("value")


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
