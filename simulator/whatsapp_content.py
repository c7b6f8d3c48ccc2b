"""What a business may send in WhatsApp besides text, and how the Cloud API refuses it.

developers.facebook.com, *WhatsApp Cloud API, Messages* and *Media*; platforms.md §1.6: three reply buttons of 20 characters, ten
rows of 24, a text of 1024 above them, captions of 1024; a file is uploaded first, each type with its own size. A template named
`unknown_template` is none that exists. Called by whatsapp.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, cast

from simulator.args import Args
from simulator.bot_files import BotFiles, GivenFile
from simulator.choices import choice
from simulator.records import Json
from simulator.telegram_html import utf16_length

_MB: Final = 1 << 20
_TEXT_MAX: Final = 4096
_SHORT_MAX: Final = 1024
_SIZES: Final = {"image": 5 * _MB, "audio": 16 * _MB, "video": 16 * _MB, "document": 100 * _MB, "sticker": 500 << 10}
_UNCAPTIONED: Final = frozenset({"audio", "sticker"})


class GraphError(Exception):
    """A refusal as the Graph API words it."""

    def __init__(self, code: int, message: str, sub: int | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.sub = sub
        self.status = status or (401 if code == 190 else 500 if code in {131000, 131016} else 400)


@dataclass(slots=True)
class Content:
    """What is sent."""

    kind: str = "text"
    text: str = ""
    file: Json | None = None
    location: Json | None = None
    choices: list[Json] = field(default_factory=list[Json])
    free: bool = True
    """It may be sent within the 24-hour window only; a template is not free."""
    reply: str = "button_reply"
    """As what a choice comes back."""


def read_media(files: BotFiles, args: Args) -> Json:
    """Keep an upload. Raises GraphError."""
    given = args.files.get("file")
    if given is None or args.text("messaging_product") != "whatsapp":
        raise GraphError(100, "(#100) The parameter file is required." if given is None else "(#100) messaging_product")
    kind = (args.text("type") or given.mime).partition(";")[0]
    if not given.content or "/" not in kind:
        raise GraphError(131053, "(#131053) Media upload error")
    return files.keep(GivenFile(given.name, kind, given.content), "media")


def read_content(media: dict[str, Json], args: Args) -> Content:
    """Return what is to be sent. Raises GraphError."""
    kind = args.text("type") or "text"
    if kind in _SIZES:
        return _file(media, kind, args.object(kind) or {})
    readers = {"text": _text, "interactive": _interactive, "location": _location, "template": _template}
    reader = readers.get(kind)
    if reader is None:
        raise GraphError(131051, "(#131051) Unsupported message type")
    return reader(args.object(kind) or {})


def _limited(text: object, most: int, name: str) -> str:
    said = str(text or "")
    if not said or utf16_length(said) > most:
        raise GraphError(100, f"(#100) Param {name} must be 1 to {most} characters long.")
    return said


def _text(content: Json) -> Content:
    return Content(text=_limited(content.get("body"), _TEXT_MAX, "text['body']"))


def _file(media: dict[str, Json], kind: str, content: Json) -> Content:
    held = media.get(str(content.get("id")))
    if held is None:
        raise GraphError(131009, "(#131009) Parameter value is not valid: media id")
    if cast("int", held["size"]) > _SIZES[kind]:
        raise GraphError(131053, "(#131053) Media upload error: too large")
    caption = content.get("caption")
    if caption is not None and kind in _UNCAPTIONED:
        raise GraphError(100, f'(#100) Unexpected key "caption" on param "{kind}".')
    text = _limited(caption, _SHORT_MAX, "caption") if caption else ""
    return Content(kind, text, file=held | {"name": str(content.get("filename") or held["name"])})


def _location(content: Json) -> Content:
    if not all(isinstance(content.get(name), int | float) for name in ("latitude", "longitude")):
        raise GraphError(131009, "(#131009) Parameter value is not valid: location")
    return Content("location", location=content)


def _interactive(content: Json) -> Content:
    text = _limited(_object(content.get("body")).get("text"), _SHORT_MAX, "interactive['body']['text']")
    action, kind = _object(content.get("action")), content.get("type")
    if kind == "button":
        return Content(text=text, choices=[_reply(one) for one in _list(action.get("buttons"), 3, "buttons")])
    if kind == "cta_url":
        named = _object(action.get("parameters"))
        label = _limited(named.get("display_text"), 20, "display_text")
        return Content(text=text, choices=[choice(label, None, named.get("url"))])
    if kind == "list":
        _limited(action.get("button"), 20, "button")
        sections = _list(action.get("sections"), 10, "sections")
        rows = [row for section in sections for row in _list(section.get("rows"), 10, "rows")]
        if len(rows) > 10:
            raise GraphError(
                131009, "(#131009) Parameter value is not valid: Total row count exceed max allowed count: 10"
            )
        return Content(text=text, choices=[_row(row) for row in rows], reply="list_reply")
    raise GraphError(131009, "(#131009) Parameter value is not valid: interactive type")


def _reply(button: Json) -> Json:
    reply = _object(button.get("reply"))
    return choice(_limited(reply.get("title"), 20, "title"), _limited(reply.get("id"), 256, "id"))


def _row(row: Json) -> Json:
    if row.get("description") is not None:
        _limited(row["description"], 72, "description")
    return choice(_limited(row.get("title"), 24, "title"), _limited(row.get("id"), 200, "id"))


def _template(content: Json) -> Content:
    name, code = content.get("name"), _object(content.get("language")).get("code")
    if not name or not code or name == "unknown_template":
        raise GraphError(132001, "(#132001) Template name does not exist in the translation", status=404)
    components = cast("list[Json]", content.get("components") or [])
    given = [one for component in components for one in cast("list[Json]", component.get("parameters") or [])]
    parameters = [_limited(one.get("text"), _SHORT_MAX, "parameter") for one in given]
    if any("\n" in one or "\t" in one or "     " in one for one in parameters):
        raise GraphError(132018, "(#132018) Parameters cannot have new-line/tab characters or more than 4 spaces")
    return Content(text=" ".join([f"[{name}]", *parameters]), free=False)


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _list(value: object, most: int, name: str) -> list[Json]:
    found = [_object(one) for one in cast("list[object]", value)] if isinstance(value, list) else []
    if not 1 <= len(found) <= most:
        raise GraphError(131009, f"(#131009) Parameter value is not valid: {name}")
    return found
