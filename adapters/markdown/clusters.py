"""What a reader sees as one character: base, combining marks, emoji sequences, flags. Pure; called by split.py.

Not the whole of Unicode's rules (https://www.unicode.org/reports/tr29/), only those that keep emoji and accents whole.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

_JOINER: Final = "\u200d"
_LONGEST: Final = 64
"""Stacks of marks without end exist; one longer than this is cut."""


def _extends(char: str) -> bool:
    code = ord(char)
    if code < 0x300:
        return False
    return (
        char == _JOINER
        or 0x1F3FB <= code <= 0x1F3FF  # skin tones
        or 0xE0020 <= code <= 0xE007F  # tags of regional flags
        or 0x1160 <= code <= 0x11FF  # Hangul vowels and finals
        or unicodedata.category(char) in {"Mn", "Me", "Mc"}
    )


def _is_flag_half(char: str) -> bool:
    return 0x1F1E6 <= ord(char) <= 0x1F1FF


def clusters(text: str) -> Iterator[str]:
    """Yield the text's clusters, in order; joined they are the text."""
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or _cut_before(text, start, index):
            yield text[start:index]
            start = index


def _cut_before(text: str, start: int, index: int) -> bool:
    if index - start >= _LONGEST:
        return True
    before, char = text[index - 1], text[index]
    if before == _JOINER or _extends(char) or (before == "\r" and char == "\n"):
        return False
    return not (_is_flag_half(char) and _is_flag_half(before) and (index - start) % 2 == 1)
