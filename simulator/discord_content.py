"""What a bot may send in Discord besides text: files and components; and how they are refused.

https://docs.discord.com/developers/resources/message#create-message and /developers/components/reference: five rows of five
buttons, ids of 100 characters that differ, labels of 80; a select of 25 lines; ten files of 10 MiB. Called by discord.py.
"""

from __future__ import annotations

from typing import Final, cast

from simulator.args import Args
from simulator.bot_files import BotFiles
from simulator.choices import choice
from simulator.records import Json, Message

_ROWS_MAX, _BUTTONS_MAX, _OPTIONS_MAX = 5, 5, 25
_FILE_MAX: Final = 10 << 20
_BUTTON, _SELECT = 2, 3
_KINDS: Final = {"image", "audio", "video"}


class DiscordError(Exception):
    """A refusal."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def read_file(files: BotFiles, args: Args) -> Json | None:
    """Keep the file of a form; None where there is none. Raises DiscordError."""
    given = args.files.get("files[0]")
    if given is None:
        return None
    if len(given.content) > _FILE_MAX:
        raise DiscordError(413, 40005, "Request entity too large")
    if not given.content:
        raise DiscordError(400, 50006, "Cannot send an empty message")
    return files.keep(given, "")


def kind_of(file: Json | None) -> str:
    """Return as what a phone shows a file."""
    if file is None:
        return "text"
    kind = str(file["mime"]).partition("/")[0]
    return kind if kind in _KINDS else "document"


def read_components(args: Args) -> tuple[list[object] | None, list[Json]]:
    """Return components as they were given, and as people see them. Raises DiscordError."""
    rows = args.items("components")
    if not rows:
        return None, []
    if len(rows) > _ROWS_MAX:
        raise _wrong("components: Must be 5 or fewer in length.")
    found: list[Json] = []
    ids: list[str] = []
    for row in rows:
        inside = [_object(one) for one in cast("list[object]", _object(row).get("components") or [])]
        if not 1 <= len(inside) <= _BUTTONS_MAX:
            raise _wrong("components: Must be between 1 and 5 in length.")
        for component in inside:
            found += _component(component)
            ids += [str(component["custom_id"])] if component.get("custom_id") else []
    if len(set(ids)) < len(ids):
        raise _wrong("components: Component custom id cannot be duplicated")
    return rows, found


def _component(component: Json) -> list[Json]:
    custom_id = component.get("custom_id")
    if component.get("type") == _SELECT:
        options = [_object(one) for one in cast("list[object]", component.get("options") or [])]
        if not custom_id or not 1 <= len(options) <= _OPTIONS_MAX:
            raise _wrong("options: Must be between 1 and 25 in length.")
        return [choice(_limited(one, "label", 100), _limited(one, "value", 100)) for one in options]
    if component.get("type") != _BUTTON:
        raise _wrong("components: Unknown component type")
    label = _limited(component, "label", 80)
    if component.get("style") == 5:
        return [choice(label, None, component.get("url"))]
    return [choice(label, _limited(component, "custom_id", 100))]


def pressed_data(message: Message, value: str) -> Json:
    """Return an interaction's `data`: which button was pressed, or which line of the select was chosen."""
    for row in message.buttons or []:
        for one in cast("list[object]", _object(row).get("components") or []):
            component = _object(one)
            options = [_object(option) for option in cast("list[object]", component.get("options") or [])]
            if any(option.get("value") == value for option in options):
                return {"custom_id": component.get("custom_id"), "component_type": _SELECT, "values": [value]}
    return {"custom_id": value, "component_type": _BUTTON}


def _limited(fields: Json, name: str, most: int) -> str:
    said = str(fields.get(name) or "")
    if not 1 <= len(said) <= most:
        raise _wrong(f"{name}: Must be between 1 and {most} in length.")
    return said


def _wrong(words: str) -> DiscordError:
    return DiscordError(400, 50035, f"Invalid Form Body: {words}")


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
