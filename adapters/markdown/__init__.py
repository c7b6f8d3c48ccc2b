"""Agents' Markdown in a platform's dialect, in parts that fit: one parsed tree, one walk, a small table per dialect.

Called by the platforms' `render`. Not here: which platform speaks which dialect, and its limit.
"""

from __future__ import annotations

from adapters.base import RenderedPart
from adapters.markdown.ops import Dialect, Text
from adapters.markdown.split import CannotSplitError, split
from adapters.markdown.tree import parse
from adapters.markdown.writer import Writer
from domain.sanitize import storable


def render_parts(markdown: str, dialect: Dialect, limit: int) -> list[RenderedPart]:
    """Render and split; no part is over `limit` in the dialect's unit. Blank text gives no part."""
    text = storable(markdown)
    root = parse(text)
    try:
        if root is not None:
            return split(Writer(dialect, text.splitlines()).document(root), dialect, limit)
    except CannotSplitError:
        pass
    return split([Text(dialect.clean(text))], dialect, limit)
