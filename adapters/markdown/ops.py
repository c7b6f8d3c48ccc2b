"""The small steps that a document is written in, between its tree (writer.py) and its parts (split.py).

A step is text that may be cut, a mark that is entered or left, or a line's end. Marks know how to close and re-open, so
that a document can be cut anywhere and every part stands by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

NOTHING: Final = "\u200b"
"""A space without width, which parts what would be read together."""
_FENCE: Final = re.compile("``(?=`)")


def without_fences(text: str) -> str:
    """Part every run of three or more backticks, so that none is read as the beginning or the end of a code block."""
    return _FENCE.sub(f"``{NOTHING}", text)


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch with a beginning and an end. `line_prefix` stands at the start of every line within it.

    `verbatim`: white space counts and no prefix is written (a code block). `raw`: escapes have no meaning within.
    `own_line`: it counts only at the start of a line.
    """

    open: str = ""
    close: str = ""
    plain_open: str = ""
    plain_close: str = ""
    line_prefix: str = ""
    plain_prefix: str = ""
    verbatim: bool = False
    raw: bool = False
    own_line: bool = False


class Cut(IntEnum):
    """How good a place is for a cut, the best last."""

    HARD = 1
    WORD = 2
    SENTENCE = 3
    LINE = 4
    PARAGRAPH = 5


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is escaped when written, and may be cut."""

    text: str


@dataclass(frozen=True, slots=True)
class Atom:
    """Something already spelled in the dialect, that must not be cut."""

    body: str
    plain: str


@dataclass(frozen=True, slots=True)
class Enter:
    """A mark begins."""

    mark: Mark


@dataclass(frozen=True, slots=True)
class Leave:
    """The innermost mark ends."""


@dataclass(frozen=True, slots=True)
class Break:
    """The end of a line (`Cut.LINE`) or of a paragraph (`Cut.PARAGRAPH`)."""

    level: Cut


Op = Text | Atom | Enter | Leave | Break

Link = Callable[[str, "list[Op]", str], "list[Op]"]
"""(address, label's steps, label's plain text) -> steps."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a platform family spells things. `measure`: the length of a string in the platform's unit.

    `clean`, `clean_code`: break up what the platform would act on (mass mentions, a fence inside a fence).
    `marks`: names `strong em s blockquote` -> mark. `per_line`: a style ends at the end of its line.
    `joint` stands between a style's sign and a word character that would keep the sign from being one.
    """

    measure: Callable[[str], int]
    escape: Callable[[str], str]
    escape_plain: Callable[[str], str]
    marks: Mapping[str, Mark]
    code_block: Callable[[str], Mark]
    inline_code: Callable[[str], list[Op]]
    link: Link
    clean: Callable[[str], str] = str
    clean_code: Callable[[str], str] = str
    per_line: bool = False
    joint: str = ""
