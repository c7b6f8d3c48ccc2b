"""The small HTML that some messengers take: a dozen tags, three escapes, lengths in UTF-16 units."""

from __future__ import annotations

from typing import Final

from adapters.markdown.ops import Dialect, Enter, Leave, Mark, Op, Text


def utf16_units(text: str) -> int:
    """Return the text's length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code_block(language: str) -> Mark:
    if not language:
        return Mark("<pre>", "</pre>", verbatim=True)
    return Mark(f'<pre><code class="language-{language}">', "</code></pre>", verbatim=True)


def _inline_code(code: str) -> list[Op]:
    return [Enter(Mark("<code>", "</code>")), Text(code), Leave()]


def _link(address: str, label: list[Op], _label_text: str) -> list[Op]:
    quoted = _escape(address).replace('"', "&quot;")
    return [Enter(Mark(f'<a href="{quoted}">', "</a>", plain_close=f" ({address})")), *label, Leave()]


HTML: Final = Dialect(
    measure=utf16_units,
    escape=_escape,
    escape_plain=str,
    marks={
        "strong": Mark("<b>", "</b>"),
        "em": Mark("<i>", "</i>"),
        "s": Mark("<s>", "</s>"),
        "blockquote": Mark("<blockquote>", "</blockquote>"),
    },
    code_block=_code_block,
    inline_code=_inline_code,
    link=_link,
)
