"""Markdown text to a tree. Pure; called by the renderer.

Nothing that was written may vanish: link definitions stay text, and a text nested so deep that the parser would skip
some of it is not parsed at all.
"""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_NESTING_MAX: Final = 40
_PARSER: Final = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": _NESTING_MAX})
    .enable(["table", "strikethrough"])
    .disable(["reference", "html_block", "html_inline"])
)


def parse(markdown: str) -> SyntaxTreeNode | None:
    """Return the document's root; None where it is nested too deep to be parsed whole."""
    tokens = _PARSER.parse(markdown)
    deepest = max((token.level for token in tokens), default=0)
    if deepest >= _NESTING_MAX - 2:
        return None
    return SyntaxTreeNode(tokens)
