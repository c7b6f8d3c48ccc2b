"""Telegram's MarkdownV2, as far as it refuses: reserved characters and entities without an end.

https://core.telegram.org/bots/api#markdownv2-style (platforms.md §2.4). The visible text is exact; of the entities only their
presence is checked. Pure; called by telegram.py.
"""

from __future__ import annotations

import re
from typing import Final

from simulator.telegram_html import MarkupError, Parsed

_RESERVED: Final = frozenset("_*[]()~`>#+-=|{}.!")
_NAMES: Final = {"*": "Bold", "_": "Italic", "__": "Underline", "~": "Strikethrough", "||": "Spoiler", "[": "TextUrl"}
_CODE: Final = re.compile(r"```(?:[^\n`]*\n)?((?:\\.|[^`\\])*)```|`((?:\\.|[^`\\])*)`", re.DOTALL)
_LINK_END: Final = re.compile(r"\]\(((?:\\.|[^)\\])*)\)")


def parse_markdown(source: str) -> Parsed:
    """Return the visible text. Raises MarkupError."""
    out: list[str] = []
    open_marks: list[tuple[str, int]] = []
    position = 0
    while position < len(source):
        position = _step(source, position, out, open_marks)
    if open_marks:
        mark, begin = open_marks[-1]
        raise MarkupError(f"Can't find end of {_NAMES[mark]} entity at byte offset {len(source[:begin].encode())}")
    return Parsed("".join(out))


def _step(source: str, position: int, out: list[str], open_marks: list[tuple[str, int]]) -> int:
    character = source[position]
    if character == "\\" and position + 1 < len(source):
        out.append(source[position + 1])
        return position + 2
    if character == "`":
        return _code(source, position, out)
    if character == "]" and open_marks and open_marks[-1][0] == "[":
        found = _LINK_END.match(source, position)
        if found is not None:
            open_marks.pop()
            return found.end()
    if character == ">" and (position == 0 or source[position - 1] == "\n"):
        return position + 1
    mark = source[position : position + 2] if source[position : position + 2] in {"__", "||"} else character
    if mark in _NAMES:
        _toggle(mark, position, open_marks)
        return position + len(mark)
    if character in _RESERVED:
        raise MarkupError(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")
    out.append(character)
    return position + 1


def _toggle(mark: str, position: int, open_marks: list[tuple[str, int]]) -> None:
    if open_marks and open_marks[-1][0] == mark and mark != "[":
        open_marks.pop()
    else:
        open_marks.append((mark, position))


def _code(source: str, position: int, out: list[str]) -> int:
    found = _CODE.match(source, position)
    if found is None:
        name = "Pre" if source.startswith("```", position) else "Code"
        raise MarkupError(f"Can't find end of {name} entity at byte offset {len(source[:position].encode())}")
    out.append(re.sub(r"\\(.)", r"\1", found.group(1) or found.group(2) or ""))
    return found.end()
