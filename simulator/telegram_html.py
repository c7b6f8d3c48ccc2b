"""Telegram's HTML: which tags there are, what is left of a text, and the words of its refusals.

The tags are those of https://core.telegram.org/bots/api#html-style (platforms.md §2.4); `&lt; &gt; &amp; &quot;` and numeric
entities are decoded, every other `&` stands for itself. Pure; called by telegram.py.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Final, cast

from simulator.records import Json

_SIMPLE: Final = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
    "code": "code", "pre": "pre", "blockquote": "blockquote", "a": "text_link", "tg-emoji": "custom_emoji",
    "span": "spoiler", "tg-time": "date_time",
}  # fmt: skip
_TAG_NAME: Final = re.compile(r"[^\s>/]*")
_ATTRIBUTE: Final = re.compile(r"\s*([a-zA-Z][\w-]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
_ENTITY: Final = re.compile(r"&(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")


class MarkupError(ValueError):
    """The markup cannot be parsed; the message is Telegram's, after "can't parse entities: "."""


@dataclass(slots=True)
class Parsed:
    """A text without its markup. Offsets and lengths of entities are in UTF-16 units."""

    text: str
    entities: list[Json] = field(default_factory=list[Json])


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


@dataclass(slots=True)
class _Open:
    tag: str
    attributes: dict[str, str]
    begin: int


def parse_html(source: str) -> Parsed:
    """Return the visible text and its entities. Raises MarkupError."""
    out: list[str] = []
    length = position = 0
    open_tags: list[_Open] = []
    entities: list[Json] = []
    while position < len(source):
        bracket = source.find("<", position)
        piece = _decode(source[position : bracket if bracket >= 0 else len(source)])
        out.append(piece)
        length += utf16_length(piece)
        if bracket < 0:
            break
        offset = len(source[:bracket].encode())
        if source.startswith("</", bracket):
            position, closed = _end_tag(source, bracket, offset, open_tags)
            if length > closed.begin:
                entities.append(_entity(closed, length))
        else:
            position, opened = _start_tag(source, bracket, offset)
            opened.begin = length
            open_tags.append(opened)
    if open_tags:
        raise MarkupError(f'Can\'t find end tag corresponding to start tag "{open_tags[-1].tag}"')
    entities = _with_languages(entities)
    entities.sort(key=lambda entity: cast("int", entity["offset"]))
    return Parsed("".join(out), entities)


def _with_languages(entities: list[Json]) -> list[Json]:
    """Make `<pre><code class="language-x">` one entity, as Telegram does; elsewhere a code's class says nothing."""
    found: list[Json] = []
    for entity in entities:
        inner = found[-1] if found else {}
        if entity["type"] == "pre" and inner.get("type") == "code" and _span(inner) == _span(entity):
            language = found.pop().get("language")
            found.append(entity if language is None else entity | {"language": language})
        else:
            found.append(entity)
    return [
        {name: value for name, value in entity.items() if name != "language" or entity["type"] == "pre"}
        for entity in found
    ]


def _span(entity: Json) -> tuple[object, object]:
    return entity["offset"], entity["length"]


def _decode(piece: str) -> str:
    return _ENTITY.sub(lambda found: html.unescape(found.group()), piece)


def _start_tag(source: str, bracket: int, offset: int) -> tuple[int, _Open]:
    name = _TAG_NAME.match(source, bracket + 1)
    assert name is not None
    tag = name.group().lower()
    if name.end() >= len(source):
        raise MarkupError(f"Unclosed start tag at byte offset {offset}")
    if tag not in _SIMPLE:
        raise MarkupError(f'Unsupported start tag "{tag}" at byte offset {offset}')
    attributes: dict[str, str] = {}
    position = name.end()
    while (found := _ATTRIBUTE.match(source, position)) is not None:
        attributes[found.group(1).lower()] = _decode(found.group(2) or found.group(3) or found.group(4) or "")
        position = found.end()
    rest = source[position:].lstrip()
    if not rest.startswith(">"):
        raise MarkupError(f'Unclosed start tag "{tag}" at byte offset {offset}')
    if tag == "span" and attributes.get("class") != "tg-spoiler":
        raise MarkupError(f'Tag "span" must have class "tg-spoiler" at byte offset {offset}')
    return len(source) - len(rest) + 1, _Open(tag, attributes, 0)


def _end_tag(source: str, bracket: int, offset: int, open_tags: list[_Open]) -> tuple[int, _Open]:
    close = source.find(">", bracket)
    tag = source[bracket + 2 : close if close >= 0 else len(source)].strip().lower()
    if not open_tags:
        raise MarkupError(f"Unexpected end tag at byte offset {offset}")
    if close < 0:
        raise MarkupError(f"Unclosed end tag at byte offset {offset}")
    opened = open_tags.pop()
    if tag and tag != opened.tag:
        raise MarkupError(f'Unmatched end tag at byte offset {offset}, expected "</{opened.tag}>", found "</{tag}>"')
    return close + 1, opened


def _entity(opened: _Open, length: int) -> Json:
    kind = _SIMPLE[opened.tag]
    if kind == "blockquote" and "expandable" in opened.attributes:
        kind = "expandable_blockquote"
    entity: Json = {"type": kind, "offset": opened.begin, "length": length - opened.begin}
    if kind == "text_link":
        entity["url"] = opened.attributes.get("href", "")
    elif kind == "code" and opened.attributes.get("class", "").startswith("language-"):
        entity["language"] = opened.attributes["class"].removeprefix("language-")
    elif opened.tag == "tg-emoji":
        entity["custom_emoji_id"] = opened.attributes.get("emoji-id", "")
    return entity
