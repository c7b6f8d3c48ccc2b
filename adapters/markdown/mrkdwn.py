"""mrkdwn: one-sign styles that end with their line, `<address|label>` links, three escapes, lengths in characters.

Its plain form is escaped as well, because references in angle brackets count in plain text too.
"""

from __future__ import annotations

import re
from typing import Final

from adapters.markdown.ops import NOTHING, Atom, Dialect, Enter, Leave, Mark, Op, Text, without_fences

"""A space without width: it parts what must not be read as a sign or a call."""

_CALL: Final = re.compile("@(?=channel|here|everyone)", re.IGNORECASE)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clean(text: str) -> str:
    """Take the force out of calls to everybody, and out of fences that are text.

    A model must not be talked into ringing a whole workspace.
    """
    return without_fences(_CALL.sub("@" + NOTHING, text))


def _code_block(_language: str) -> Mark:
    return Mark("```\n", "\n```", verbatim=True)


def _inline_code(code: str) -> list[Op]:
    # There is no escape for the sign itself.
    return [Text(code)] if "`" in code else [Enter(Mark("`", "`")), Text(code), Leave()]


def _link(address: str, label: list[Op], label_text: str) -> list[Op]:
    if len(label_text) > 200:
        return [*label, Text(f" ({address})")]
    words = _escape(_clean(" ".join(label_text.split())))
    target = _escape(address)
    return [Atom(f"<{target}|{words}>", f"{words} ({target})")]


MRKDWN: Final = Dialect(
    measure=len,
    escape=_escape,
    escape_plain=_escape,
    marks={
        "strong": Mark("*", "*"),
        "em": Mark("_", "_"),
        "s": Mark("~", "~"),
        "blockquote": Mark(line_prefix="> ", plain_prefix="&gt; "),
    },
    code_block=_code_block,
    inline_code=_inline_code,
    link=_link,
    clean=_clean,
    clean_code=_clean,
    per_line=True,
    joint=NOTHING,
)
