"""One-sign styles without escapes and without labelled links, lengths in UTF-16 units.

A style ends with its line. There is no escape character, so text that looks like a style stays one; what a fence would
end is parted by a space without width.
"""

from __future__ import annotations

from typing import Final

from adapters.markdown.html import utf16_units
from adapters.markdown.ops import NOTHING, Dialect, Enter, Leave, Mark, Op, Text, without_fences


def _clean(text: str) -> str:
    return without_fences(text)


def _code_block(_language: str) -> Mark:
    return Mark("```\n", "\n```", verbatim=True)


def _inline_code(code: str) -> list[Op]:
    return [Text(code)] if "`" in code else [Enter(Mark("`", "`")), Text(code), Leave()]


def _link(address: str, label: list[Op], _label_text: str) -> list[Op]:
    return [*label, Text(f" ({address})")]


SIGNS: Final = Dialect(
    measure=utf16_units,
    escape=str,
    escape_plain=str,
    marks={
        "strong": Mark("*", "*"),
        "em": Mark("_", "_"),
        "s": Mark("~", "~"),
        "blockquote": Mark(line_prefix="> ", plain_prefix="> "),
    },
    code_block=_code_block,
    inline_code=_inline_code,
    link=_link,
    clean=_clean,
    clean_code=_clean,
    per_line=True,
    joint=NOTHING,
)
