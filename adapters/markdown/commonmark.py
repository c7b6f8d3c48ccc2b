"""Markdown itself: escapes by backslash, links with labels, fenced code. Two kinds.

`COMMONMARK`: lengths in characters. `REFERENCED`: angle brackets are references (people, channels, times) and are
escaped too; only web addresses can be linked; lengths in UTF-16 units.
"""

from __future__ import annotations

import re
from typing import Final

from adapters.markdown.html import utf16_units
from adapters.markdown.ops import NOTHING, Dialect, Enter, Leave, Link, Mark, Op, Text, without_fences

_ADDRESS: Final = re.compile(r"(https?://[^\s<>]+)")
_SIGNS: Final = re.compile(r"([\\`*_~\[\]|])")
_SIGNS_AND_BRACKETS: Final = re.compile(r"([\\`*_~\[\]|<>])")
_AT_A_LINES_START: Final = re.compile(r"(?:#{1,6}|-#|[-+]+|>.*)", re.DOTALL)
_CALL: Final = re.compile("@(?=channel|all|here|everyone)", re.IGNORECASE)


def _escape_word(word: str, signs: re.Pattern[str]) -> str:
    """Escape what would be read as a sign. A bare address stays: a backslash would become a part of it."""
    pieces = _ADDRESS.split(word)
    escaped = "".join(piece if index % 2 else signs.sub(r"\\\1", piece) for index, piece in enumerate(pieces))
    starts = _AT_A_LINES_START.fullmatch(word) and not escaped.startswith("\\")
    return f"\\{escaped}" if starts else escaped


def _escape(word: str) -> str:
    return _escape_word(word, _SIGNS)


def _escape_brackets_too(word: str) -> str:
    return _escape_word(word, _SIGNS_AND_BRACKETS)


def _clean(text: str) -> str:
    """Take the force out of calls to everybody: a model must not be talked into ringing a whole team."""
    return _CALL.sub("@" + NOTHING, text)


def _clean_code(text: str) -> str:
    return without_fences(text)


def _code_block(language: str) -> Mark:
    return Mark(f"```{language}\n", "\n```", verbatim=True, raw=True, own_line=True)


def _inline_code(code: str) -> list[Op]:
    fence = "``" if "`" in code else "`"
    space = " " if "`" in code else ""
    return [Enter(Mark(f"{fence}{space}", f"{space}{fence}", raw=True)), Text(code), Leave()]


def _link(address: str, label: list[Op], _label_text: str) -> list[Op]:
    target = address.replace("(", "%28").replace(")", "%29")
    return [Enter(Mark("[", f"]({target})", plain_close=f" ({address})")), *label, Leave()]


def _web_link(address: str, label: list[Op], label_text: str) -> list[Op]:
    if address.startswith(("https://", "http://")):
        return _link(address, label, label_text)
    return [*label, Text(f" ({address})")]


def _dialect(*, brackets: bool, link: Link) -> Dialect:
    escape = _escape_brackets_too if brackets else _escape
    return Dialect(
        measure=utf16_units if brackets else len,
        escape=escape,
        escape_plain=escape,
        marks={
            "strong": Mark("**", "**"),
            "em": Mark("*", "*"),
            "s": Mark("~~", "~~"),
            "blockquote": Mark(line_prefix="> ", plain_prefix="> "),
        },
        code_block=_code_block,
        inline_code=_inline_code,
        link=link,
        clean=_clean,
        clean_code=_clean_code,
    )


COMMONMARK: Final = _dialect(brackets=False, link=_link)
REFERENCED: Final = _dialect(brackets=True, link=_web_link)
