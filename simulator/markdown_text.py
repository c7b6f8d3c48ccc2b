"""What a reader sees of a Markdown message: escapes undone outside of code, links as label and address. Pure.

Signs of styles stay: a phone that shows `**bold**` tells a test as much as one that shows bold. Called by the platforms
that take Markdown.
"""

from __future__ import annotations

import re
from typing import Final

_CODE: Final = re.compile(r"(```.*?```|``.+?``|`[^`\n]+`)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([\\`*_{}\[\]()#+\-.!~|<>])")


def visible(text: str) -> str:
    """Return what is read."""
    pieces = _CODE.split(text)
    return "".join(piece if index % 2 else _ESCAPED.sub(r"\1", piece) for index, piece in enumerate(pieces))
