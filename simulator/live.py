"""What the page shows, as server-sent events, so that it never has to ask again (WHATWG HTML, *Server-sent events*).

`GET /_sim/live?channel&as`: `screen` (phone.py with signs.py), `world` (bots, people, chats, faults, open sockets), `log` (what
was told and called since the last one). The first ones are whole; a browser that comes back begins anew with `begin`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from simulator import phone, signs
from simulator.channel import Channel
from simulator.control import describe, describe_fault
from simulator.faults import Faults
from simulator.log import Log, Numbered
from simulator.records import Attempt, Call, Json, Person
from simulator.state import World

_T = TypeVar("_T", bound=Numbered)
_AT_FIRST: Final = 60
_STILL_HERE_S: Final = 15.0
_TOGETHER_S: Final = 0.03
"""Changes that come within this time are told together."""


@dataclass(slots=True)
class _Reader:
    """One page that looks. `calls`, `attempts`, `told`: how far it has read."""

    channel: Channel
    person: str
    calls: int
    attempts: int
    told: int


class Live:
    """The stream for pages."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults

    async def stream(self, request: Request) -> Response:
        """GET /_sim/live?channel|platform&as; without a bot only `world`, with the bots that there are."""
        query = request.query_params
        if not query.keys() & {"channel", "platform"}:
            return _answer(self._bots())
        channel = self._world.find_channel(query.get("channel"), None, query.get("platform"))
        told = len(channel.stream.events)
        calls, attempts = self._world.calls.last - _AT_FIRST, self._world.attempts.last - _AT_FIRST
        reader = _Reader(channel, query.get("as", ""), max(0, calls), max(0, attempts), told)
        return _answer(self._events(reader))

    async def _bots(self) -> AsyncIterator[bytes]:
        """Tell which bots there are, while none is looked at."""
        changes, sent = self._world.changes, b""
        while not changes.closed:
            version = changes.version
            told = _event("world", {"channels": [describe(channel) for channel in self._world.channels.values()]})
            if told != sent:
                sent = told
                yield told
            if not await changes.until(_later(self._world, version), _STILL_HERE_S):
                yield b": still here\n\n"
            await asyncio.sleep(_TOGETHER_S)

    async def _events(self, reader: _Reader) -> AsyncIterator[bytes]:
        yield _event("begin", {})
        sent: dict[str, bytes] = {}
        changes = self._world.changes
        while not changes.closed:
            version = changes.version
            for name, value in (("world", self._now(reader)), ("screen", self._screen(reader))):
                told = _event(name, value)
                if sent.get(name) != told:
                    sent[name] = told
                    yield told
            entries = self._entries(reader)
            if entries:
                yield _event("log", entries)
            if not await changes.until(_later(self._world, version), _STILL_HERE_S):
                yield b": still here\n\n"
            await asyncio.sleep(_TOGETHER_S)

    def _screen(self, reader: _Reader) -> Json:
        channel = reader.channel
        person = channel.people.get(reader.person) or Person(reader.person, "")
        return signs.add(self._world, channel, phone.view(channel, person))

    def _now(self, reader: _Reader) -> Json:
        faults = [fault for fault in self._faults.all() if fault.script.channel in {None, reader.channel.name}]
        return {
            "channels": [describe(channel) for channel in self._world.channels.values()],
            "faults": [describe_fault(fault) for fault in faults],
            "listeners": reader.channel.stream.listeners,
        }

    def _entries(self, reader: _Reader) -> list[Json]:
        name = reader.channel.name
        calls = _new(self._world.calls, reader.calls, lambda call: call.channel == name)
        attempts = _new(self._world.attempts, reader.attempts, lambda attempt: attempt.channel == name)
        events = reader.channel.stream.events[reader.told :]
        reader.calls, reader.attempts = self._world.calls.last, self._world.attempts.last
        reader.told = len(reader.channel.stream.events)
        found = [*map(_called, calls), *map(_told, attempts)]
        found.sort(key=lambda entry: float(str(entry["at"])))
        by_socket: list[Json] = [{"way": "socket", "what": told.name, "detail": told.data} for told in events]
        return [*found, *by_socket]


def _new(log: Log[_T], after: int, match: Callable[[_T], bool]) -> list[_T]:
    return log.after(after, match)


def _later(world: World, version: int) -> Callable[[], bool | None]:
    return lambda: True if world.changes.version > version else None


def _called(call: Call) -> Json:
    return {
        "way": "call", "at": call.at, "what": call.method, "where": call.chat_name or call.chat, "status": call.status,
        "error": call.error, "fault": call.fault, "wait_s": call.retry_after_s, "ms": _ms(call.mono, call.ended_mono),
        "detail": call.body,
    }  # fmt: skip


def _told(attempt: Attempt) -> Json:
    return {
        "way": "webhook", "at": attempt.at, "what": attempt.kind, "where": attempt.chat, "status": attempt.status,
        "error": attempt.error, "fault": None, "wait_s": None, "ms": _ms(attempt.mono, attempt.ended_mono),
        "outcome": attempt.outcome, "try": attempt.number + 1,
        "detail": {"event": attempt.event_id, "message": attempt.message_id, "copy": attempt.copy},
    }  # fmt: skip


def _ms(begun: float, ended: float) -> int:
    return round((ended - begun) * 1000)


def _answer(events: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(events, headers={"Cache-Control": "no-store"}, media_type="text/event-stream")


def _event(name: str, value: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"
