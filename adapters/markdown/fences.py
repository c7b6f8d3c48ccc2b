"""Backticks that meet across steps: three in a row begin a code block, wherever each of them came from.

Within one text they are parted as it is cleaned (ops.py). Called by the writer, for dialects without an escape.
"""

from __future__ import annotations

from typing import Final

from adapters.markdown.ops import NOTHING, Atom, Enter, Leave, Mark, Op, Text

FENCE: Final = 3


def parted(ops: list[Op]) -> list[Op]:
    """Part what would be read as a fence, in the body and in the plain form."""
    written: list[Op] = []
    stack: list[Mark] = []
    body = plain = 0
    for op in ops:
        next_body, next_plain = _spelled(op, stack)
        joint = Atom(NOTHING * _meet(body, next_body), NOTHING * _meet(plain, next_plain))
        if joint.body or joint.plain:
            written.append(joint)
        body = _at_end(next_body, 0 if joint.body else body)
        plain = _at_end(next_plain, 0 if joint.plain else plain)
        written.append(op)
    return written


def _spelled(op: Op, stack: list[Mark]) -> tuple[str, str]:
    """Return what a step writes, in the body and in the plain form."""
    match op:
        case Enter(mark):
            stack.append(mark)
            return mark.open, mark.plain_open
        case Leave():
            mark = stack.pop()
            return mark.close, mark.plain_close
        case Text(text):
            return text, text
        case Atom(body, plain):
            return body, plain
        case _:
            return "\n", "\n"


def _meet(before: int, text: str) -> bool:
    begins = len(text) - len(text.lstrip("`"))
    return before > 0 and begins > 0 and before + begins >= FENCE


def _at_end(text: str, before: int) -> int:
    """Return how many backticks stand at the end now."""
    ends = len(text) - len(text.rstrip("`"))
    return ends + before if ends == len(text) else ends
