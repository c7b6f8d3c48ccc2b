"""Frames as server-sent events, and the ids by which a client says how far it got. Pure: no socket, no clock.

An id is a place in each of the subscription's streams, in their order: `epoch/offset`, joined by commas; `/0` is a stream
in which nothing has ever happened. It carries all of them, because a browser remembers the last id only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import orjson

from realtime.backlog import HistoryRequest, Position

RETRY_MS: Final = 3_000
_NEVER_MS: Final = 365 * 24 * 3_600 * 1_000
"""A browser cannot be told to stay away, but to wait for a year."""
BEGINNING_S: Final = 0.0
_NOWHERE: Final = Position("", 0)
_UNKNOWN: Final = Position("?", 1)
_ANSWERS: Final = frozenset({"confirm_history", "reject_history"})
_PLACED: Final = _ANSWERS | {"confirm_subscription"}
_NAMES: Final = {"reject_history": "reset"}


class EventStream:
    """Renders one client's frames, and follows where each stream is."""

    def __init__(self) -> None:
        self._places: dict[str, Position] = {}
        self._here: dict[str, Position] = {}
        self._placed = True

    def begin(self, here: dict[str, Position], wanted: HistoryRequest | None) -> None:
        """`here` is where the streams were when the live events began, `wanted` what the client missed."""
        self._here = here
        self._places = dict(here)
        if wanted is not None and (wanted.streams or wanted.since_s == BEGINNING_S):
            self._places = {stream: wanted.streams.get(stream, _NOWHERE) for stream in here}
        elif wanted is not None:
            self._placed = False  # a time is no place; from the end of the backlog on there is one

    def render(self, text: str) -> bytes:
        """Return a frame as an event. Pings are comments, and data frames have no name, so that `onmessage` hears them."""
        told: dict[str, object] = orjson.loads(text)
        kind = cast("str", told.get("type", ""))
        if kind == "ping":
            return b": %d\n\n" % cast("int", told["message"])
        name = _NAMES.get(kind, kind)
        lines = [f"event: {name}"] if name else []
        lines.append(f"data: {text}")
        lines += self._place(kind, told)
        if kind == "welcome":
            lines.append(f"retry: {RETRY_MS}")
        elif kind == "disconnect" and told["reconnect"] is False:
            lines.append(f"retry: {_NEVER_MS}")
        return ("\n".join(lines) + "\n\n").encode()

    def _place(self, kind: str, told: dict[str, object]) -> list[str]:
        if "offset" in told:
            stream = cast("str", told["stream_id"])
            self._places[stream] = Position(cast("str", told["epoch"]), cast("int", told["offset"]))
        elif kind == "reject_history":
            # What was missed is lost for good: from here on only what comes live counts.
            self._places = dict(self._here)
        elif kind not in _PLACED:
            return []
        self._placed = self._placed or kind in _ANSWERS
        if not self._placed:
            return []
        return ["id: " + ",".join(f"{place.epoch}/{place.offset}" for place in self._places.values())]


def after(last_event_id: str, streams: Sequence[str]) -> HistoryRequest:
    """Return what a client that got as far as this id has missed. One that is not ours leads to a `reset`."""
    places = [_parse(part) for part in last_event_id.split(",")]
    if len(places) != len(streams):
        places = [_UNKNOWN] * len(streams)
    reached = {stream: place for stream, place in zip(streams, places, strict=True) if place != _NOWHERE}
    # From the very beginning, of a stream in which nothing had happened yet.
    return HistoryRequest(BEGINNING_S if len(reached) < len(streams) else None, reached)


def _parse(text: str) -> Position:
    epoch, _, offset = text.partition("/")
    return Position(epoch, int(offset)) if offset.isascii() and offset.isdigit() and len(offset) < 19 else _UNKNOWN
