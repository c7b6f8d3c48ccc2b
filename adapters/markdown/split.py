"""Steps to parts, none over the limit: cut between paragraphs, else lines, sentences, words, and last within a word.

What is open at a cut is closed and opened again in the next part, so that every part is well formed by itself. Nothing
is lost but white space at a cut. Pure; called by the renderer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from adapters.base import RenderedPart
from adapters.markdown.clusters import clusters
from adapters.markdown.ops import Atom, Break, Cut, Dialect, Enter, Leave, Mark, Op

_STOPS: Final = "\u3002\uff01\uff1f"
"""Full stops of scripts that put no space after them."""

_WORDS: Final = re.compile(rf"\n|[^\S\n]+|[^\s{_STOPS}]*[{_STOPS}]+|[^\s{_STOPS}]+")
_SENTENCE_ENDS: Final = (".", "!", "?", "…", ".)", "!)", "?)", '."', '!"', '?"')
_GOOD_FILL: Final = 1 / 3
"""A nicer place to cut is taken when the part is at least this full there."""


class CannotSplitError(Exception):
    """The marks alone are longer than the limit."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece that is written whole. `cut`: how good a cut is after it (`space`: instead of it).

    `raw`: stands where escapes have no meaning.
    """

    body: str
    plain: str
    cut: Cut | None = None
    space: bool = False
    text: str = ""
    raw: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """A state of the part being filled at which it could end. `resume`: where the next part starts."""

    resume: int
    stack: tuple[Mark, ...]
    bodies: int
    plains: int
    size: int


@dataclass(slots=True)
class _Filling:
    """A part being filled."""

    dialect: Dialect
    limit: int
    stack: tuple[Mark, ...] = ()
    body: list[str] = field(default_factory=list[str])
    plain: list[str] = field(default_factory=list[str])
    body_size: int = 0
    plain_size: int = 0
    line_start: bool = True
    has_text: bool = False

    def enter(self, mark: Mark) -> bool:
        """Open a mark; False where there is no room for it."""
        body, plain = mark.open, mark.plain_open
        if mark.open and not mark.verbatim:
            body, plain = self._prefixed(body, plain)
        if mark.own_line and not self.line_start:
            body = f"\n{body}"
        before = self.stack
        self.stack = (*self.stack, mark)
        if not self._write(body, plain):
            self.stack = before
            return False
        if body:
            self.line_start = body.endswith("\n")
        return True

    def leave(self) -> None:
        """Close the innermost mark; the room for it was kept."""
        mark, self.stack = self.stack[-1], self.stack[:-1]
        self._write(mark.close, mark.plain_close)

    def add(self, unit: _Unit) -> bool:
        """Write a unit; False where there is no room for it."""
        body, plain = (unit.body, unit.plain) if unit.space or not unit.body else self._prefixed(unit.body, unit.plain)
        if not self._write(body, plain):
            return False
        if unit.body:
            self.line_start = unit.body.endswith("\n")
        self.has_text = self.has_text or not unit.space
        return True

    def place(self, resume: int) -> _Place:
        """Return the present state as a place to end at."""
        return _Place(resume, self.stack, len(self.body), len(self.plain), self.body_size)

    def end_at(self, place: _Place) -> RenderedPart:
        """Return the part as it is at `place`, with everything closed."""
        closing = place.stack[::-1]
        body = "".join(self.body[: place.bodies]) + "".join(mark.close for mark in closing)
        plain = "".join(self.plain[: place.plains]) + "".join(mark.plain_close for mark in closing)
        return RenderedPart(body=body, plain=plain)

    def _prefixed(self, body: str, plain: str) -> tuple[str, str]:
        if not self.line_start or any(mark.verbatim for mark in self.stack):
            return body, plain
        return (
            "".join(mark.line_prefix for mark in self.stack) + body,
            "".join(mark.plain_prefix for mark in self.stack) + plain,
        )

    def _write(self, body: str, plain: str) -> bool:
        measure = self.dialect.measure
        body_size, plain_size = self.body_size + measure(body), self.plain_size + measure(plain)
        closers = sum(measure(mark.close) for mark in self.stack)
        plain_closers = sum(measure(mark.plain_close) for mark in self.stack)
        if body_size + closers > self.limit or plain_size + plain_closers > self.limit:
            return False
        self.body.append(body)
        self.plain.append(plain)
        self.body_size, self.plain_size = body_size, plain_size
        return True


def split(ops: Sequence[Op], dialect: Dialect, limit: int) -> list[RenderedPart]:
    """Return the parts in order; `limit` is in the dialect's unit. Raises CannotSplitError."""
    items = list(_items(ops, dialect))
    parts: list[RenderedPart] = []
    index, stack = _skip(items, 0, ())
    while index < len(items):
        filling = _Filling(dialect, limit)
        if not all(filling.enter(mark) for mark in stack):
            raise CannotSplitError
        place = _fill(filling, items, index)
        if filling.has_text:
            parts.append(filling.end_at(place))
        index, stack = _skip(items, place.resume, place.stack)
    return parts


def _items(ops: Sequence[Op], dialect: Dialect) -> Iterator[_Unit | Enter | Leave]:
    ended_sentence = False
    raw: list[bool] = []
    for op in ops:
        if isinstance(op, Enter):
            raw.append(op.mark.raw)
            yield op
        elif isinstance(op, Leave):
            raw.pop()
            yield op
        elif isinstance(op, Break):
            yield _Unit(*(("\n\n", "\n\n") if op.level is Cut.PARAGRAPH else ("\n", "\n")), cut=op.level, space=True)
        elif isinstance(op, Atom):
            yield _Unit(op.body, op.plain)
            ended_sentence = False
        else:
            for word in _WORDS.findall(op.text):
                yield _word(word, dialect, ended_sentence, raw=any(raw))
                ended_sentence = word.endswith(_SENTENCE_ENDS)


def _word(word: str, dialect: Dialect, ended_sentence: bool, *, raw: bool) -> _Unit:
    if word == "\n":
        return _Unit(word, word, cut=Cut.LINE, space=True)
    if word.isspace():
        return _Unit(word, word, cut=Cut.SENTENCE if ended_sentence else Cut.WORD, space=True)
    cut = Cut.SENTENCE if word[-1] in _STOPS else None
    return _Unit(word if raw else dialect.escape(word), dialect.escape_plain(word), cut=cut, text=word, raw=raw)


def _skip(items: Sequence[_Unit | Enter | Leave], index: int, stack: tuple[Mark, ...]) -> tuple[int, tuple[Mark, ...]]:
    """Pass over what has no meaning at a part's start: ends of marks, and white space outside code."""
    while index < len(items):
        item = items[index]
        if isinstance(item, Leave):
            stack = stack[:-1]
        elif isinstance(item, Enter) or not item.space or any(mark.verbatim for mark in stack):
            break
        index += 1
    return index, stack


def _fill(filling: _Filling, items: list[_Unit | Enter | Leave], index: int) -> _Place:
    """Fill a part from `index` on and return where it ends. A word longer than a part is cut up in `items`."""
    best: dict[Cut, _Place] = {}
    while index < len(items):
        item = items[index]
        if isinstance(item, Leave):
            filling.leave()
        elif isinstance(item, Enter):
            if not filling.enter(item.mark):
                return _choose(best, filling.limit)
        else:
            if item.space and item.cut and filling.has_text:
                best[item.cut] = filling.place(index + 1)
            if not filling.add(item):
                if best:
                    return _choose(best, filling.limit)
                items[index : index + 1] = _cut_up(item, filling.dialect, filling.limit)
                continue
            if item.cut and not item.space:
                best[item.cut] = filling.place(index + 1)
        index += 1
    return filling.place(index)


def _cut_up(unit: _Unit, dialect: Dialect, limit: int) -> list[_Unit | Enter | Leave]:
    """Cut what is longer than a part between its clusters; in runs of some, for one at a time is slow."""
    pieces = list(clusters(unit.text or unit.body))
    if len(pieces) < 2 or not (unit.text or unit.space):
        raise CannotSplitError
    step = max(1, min(limit // 64, len(pieces) // 2))
    runs = ["".join(pieces[start : start + step]) for start in range(0, len(pieces), step)]
    if unit.space:
        return [_Unit(run, run, cut=Cut.HARD, space=True) for run in runs]
    raw = unit.raw
    return [
        _Unit(run if raw else dialect.escape(run), dialect.escape_plain(run), Cut.HARD, text=run, raw=raw)
        for run in runs
    ]


def _choose(best: dict[Cut, _Place], limit: int) -> _Place:
    if not best:
        raise CannotSplitError
    for cut in sorted(best, reverse=True):
        if best[cut].size >= limit * _GOOD_FILL:
            return best[cut]
    return max(best.values(), key=lambda place: place.size)
