"""What becomes of a kind that a platform cannot carry: decided here alone, so that nothing is ever dropped silently.

A place becomes a text with a map link, a sticker an image, a file of an odd type a document, a menu buttons, and both of them
numbered lines in the text. What has no honest stand-in (a template elsewhere, a file that is too large) is refused in words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from domain.errors import InvalidInputError
from domain.outbound import (
    Button,
    Buttons,
    Choice,
    FilePart,
    Location,
    Menu,
    OutboundLimits,
    Payload,
    Reaction,
    Template,
)

_PUNCTUATION: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&])")
_MAP: Final = "https://www.openstreetmap.org/?mlat={0}&mlon={1}#map=17/{0}/{1}"
_NEXT_BEST: Final = {
    "sticker": ("image", "document"),
    "audio": ("document",),
    "video": ("document",),
    "image": ("document",),
}


@dataclass(frozen=True, slots=True)
class Carried:
    """What is really sent: Markdown, and what goes with it, None where the words say it all."""

    markdown: str
    extra: Payload | None


def carried(can: OutboundLimits, markdown: str, extra: Payload, label: str) -> Carried:
    """Return what a platform named `label` is sent for this. Raises InvalidInputError for what it cannot be sent at all."""
    if isinstance(extra, FilePart):
        return Carried(markdown, _file(can, extra, label))
    if isinstance(extra, Buttons):
        return _buttons(can, markdown, extra)
    if isinstance(extra, Menu):
        return _menu(can, markdown, extra)
    if isinstance(extra, Location):
        return Carried(markdown, extra) if can.location else Carried(_joined(markdown, _map_link(extra)), None)
    if isinstance(extra, Template) and not can.templates:
        raise _refused("template", f"{label} has no templates")
    if isinstance(extra, Reaction) and not can.reactions:
        raise _refused("reaction", f"{label} has no reactions")
    return Carried(markdown, extra)


def _refused(name: str, words: str) -> InvalidInputError:
    return InvalidInputError(f"{name}: {words}", details={"errors": [{"field": name, "message": words}]})


def _file(can: OutboundLimits, file: FilePart, label: str) -> FilePart:
    for kind in (file.type, *_NEXT_BEST.get(file.type, ())):
        limits = can.files.get(kind)
        if (
            limits is not None
            and limits.takes(file)
            and not (kind == "image" and not file.mime_type.startswith("image/"))
        ):
            return file if kind == file.type else file.model_copy(update={"type": kind})
    most = max((limits.size for limits in can.files.values()), default=0)
    raise _refused("attachment_ids", f"{label} takes files of up to {most >> 20} MB; {file.filename} is larger")


def _buttons(can: OutboundLimits, markdown: str, wanted: Buttons) -> Carried:
    limits, pressed = can.buttons, [one for one in wanted.buttons if one.value is not None]
    links = [one for one in wanted.buttons if one.url is not None]
    if limits is None:
        return Carried(_joined(markdown, _numbered(wanted.buttons)), None)
    if pressed and links and not limits.mixed:
        # The addresses can stand in the text; what gives a value back can only be a button.
        return _buttons(can, _joined(markdown, _numbered(links)), Buttons(buttons=tuple(pressed)))
    fits = len(wanted.buttons) <= limits.count and len(links) <= limits.urls
    if fits and all(len(one.label) <= limits.label for one in wanted.buttons):
        return Carried(markdown, wanted)
    menu = can.menu
    if not links and menu is not None and len(pressed) <= menu.count and _fit(pressed, menu.label):
        rows = tuple(Choice(label=one.label, value=one.value or one.label) for one in pressed)
        return Carried(markdown, Menu(choices=rows))
    return Carried(_joined(markdown, _numbered(wanted.buttons)), None)


def _fit(found: list[Button], most: int) -> bool:
    return all(len(one.label) <= most for one in found)


def _menu(can: OutboundLimits, markdown: str, wanted: Menu) -> Carried:
    limits, rows = can.menu, wanted.choices
    if limits is not None and len(rows) <= limits.count and all(len(one.label) <= limits.label for one in rows):
        fits = all(len(one.description or "") <= limits.description for one in rows)
        told = markdown if fits else _joined(markdown, _descriptions(rows))
        bare = tuple(one.model_copy(update={"description": None}) for one in rows)
        return Carried(told, wanted if fits else wanted.model_copy(update={"choices": bare}))
    if (
        can.buttons is not None
        and len(rows) <= can.buttons.count
        and all(len(one.label) <= can.buttons.label for one in rows)
    ):
        told = _joined(markdown, _descriptions(rows))
        return Carried(told, Buttons(buttons=tuple(Button(label=one.label, value=one.value) for one in rows)))
    lines = [f"{number}. {_line(one)}" for number, one in enumerate(rows, start=1)]
    return Carried(_joined(markdown, "\n".join(lines)), None)


def _numbered(found: tuple[Button, ...] | list[Button]) -> str:
    lines = [f"[{_escaped(one.label)}]({one.url})" if one.url else _escaped(one.label) for one in found]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _descriptions(rows: tuple[Choice, ...]) -> str:
    return "\n".join(f"- {_line(one)}" for one in rows if one.description)


def _line(row: Choice) -> str:
    return f"{_escaped(row.label)}: {_escaped(row.description)}" if row.description else _escaped(row.label)


def _map_link(where: Location) -> str:
    named = ", ".join(filter(None, (where.name, where.address)))
    point = f"{where.latitude}, {where.longitude}"
    return f"📍 [{_escaped(named or point)}]({_MAP.format(where.latitude, where.longitude)})"


def _joined(markdown: str, more: str) -> str:
    return "\n\n".join(filter(None, (markdown, more)))


def _escaped(text: str) -> str:
    """Return plain words as Markdown that says just them."""
    return _PUNCTUATION.sub(r"\\\1", " ".join(text.split()))
