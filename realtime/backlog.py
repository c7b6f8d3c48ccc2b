"""What a stream said lately: the log in Redis as one read, and this process's ring of it, from which joiners are answered.

realtime/broker.py keeps one ring per live stream, so that a thousand clients that return at once cost one read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, cast

from redis.asyncio import Redis

from realtime.client import Script
from realtime.keys import log_key, meta_key
from realtime.publish import HistoryLimits

MAX_ENTRIES: Final = 300
MAX_BYTES: Final = 512 * 1024
"""What is replayed at most, half an outbox; more than that is refused, and the client fetches anew."""

# What a run before this one of the server stored is as good as lost: see the script in publish.py.
_READ: Final = Script(b"""
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local meta = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'top')
if not meta[2] or meta[1] ~= run then return {'', '0', {}} end
local count = tonumber(ARGV[2])
if count == 0 then return {meta[2], meta[3] or '0', {}} end
if count > 0 then
  return {meta[2], meta[3] or '0', redis.call('XRANGE', KEYS[2], ARGV[1], '+', 'COUNT', count)}
end
return {meta[2], meta[3] or '0', redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', -count)}
""")


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored event; `at_ms` is the server's clock, 0 when unknown; `exclude_sid` the socket that caused it."""

    offset: int
    at_ms: int
    payload: bytes
    exclude_sid: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A read of the log. No `epoch`: there is no stream, or it was lost."""

    epoch: str
    top: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Position:
    """The last event that somebody has."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """What a client wants to catch up with: per stream after a position, elsewhere since a time in Unix seconds."""

    since_s: float | None = None
    streams: Mapping[str, Position] = field(default_factory=dict[str, Position])

    def covers(self, stream: str) -> bool:
        """Whether it asks anything of this stream."""
        return self.since_s is not None or stream in self.streams


async def read_log(redis: Redis, stream: str, *, after: int = 0, count: int) -> Page:
    """Read up to `count` entries after an offset; only the position when 0, the newest ones when negative.

    Raises RedisError or OSError.
    """
    answer = await _READ.run(redis, (meta_key(stream), log_key(stream)), f"{after + 1}-0", count)
    epoch, top, raw = cast("tuple[bytes, bytes, list[tuple[bytes, list[bytes]]]]", answer)
    entries: list[Entry] = []
    for entry_id, pairs in raw:
        fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
        offset = int(entry_id.partition(b"-")[0])
        entries.append(Entry(offset, int(fields.get(b"t", 0)), fields[b"p"], fields.get(b"x", b"").decode()))
    if count < 0:
        entries.reverse()
    return Page(epoch.decode(), int(top), entries)


class Ring:
    """A stream's newest entries without holes. It records from `start` on and knows older ones once it was `fill`ed.

    `floor` is the offset before its first entry, `floor_at_ms` a time after which it holds everything for sure.
    """

    __slots__ = ("_entries", "_size_bytes", "filled", "floor", "floor_at_ms", "recording")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._size_bytes = 0
        self.floor = 0
        self.floor_at_ms = 0
        self.filled = False
        self.recording = False

    def restart(self, offset: int, at_ms: int) -> None:
        """Forget all up to an offset; what was before `at_ms` is not known any more."""
        self._entries.clear()
        self._size_bytes = 0
        self.floor, self.floor_at_ms = offset, at_ms

    def append(self, entry: Entry) -> None:
        """Add the next entry; the oldest leave when it is too much."""
        if not self.recording:
            self.floor = entry.offset
            return
        self._entries.append(entry)
        self._size_bytes += len(entry.payload)
        self._trim()

    def fill(self, page: Page, now_ms: int) -> None:
        """Put what the log held before the first recorded entry in front. The page must be of the same epoch."""
        older = list(takewhile(lambda entry: entry.offset <= self.floor, page.entries))
        if older and older[-1].offset == self.floor:
            self.floor = older[0].offset - 1
            self._entries.extendleft(reversed(older))
            self._size_bytes += total_bytes(older)
        if self.floor and len(page.entries) < MAX_ENTRIES:
            # Not trimmed: what came before expired, so it is older than whatever is left by the log's whole life.
            newest_ms = self._entries[0].at_ms if self._entries else now_ms
            self.floor_at_ms = newest_ms - HistoryLimits().log_ttl_s * 1000
        elif self.floor:
            self.floor_at_ms = self._entries[0].at_ms if self._entries else now_ms
        self.filled = True
        self._trim()

    def after(self, offset: int) -> list[Entry] | None:
        """Return the entries after an offset, None when some are gone."""
        if offset < self.floor or not self.filled:
            return None
        return [entry for entry in self._entries if entry.offset > offset]

    def since(self, at_ms: float) -> list[Entry] | None:
        """Return the entries from a time on, None when some may be gone."""
        if not self.filled or (self.floor and at_ms <= self.floor_at_ms):
            return None
        if not self.floor and at_ms < self.floor_at_ms:
            return None  # a new epoch after a loss: what was before is not known
        return [entry for entry in self._entries if entry.at_ms >= at_ms]

    def _trim(self) -> None:
        while self._entries and (len(self._entries) > MAX_ENTRIES or self._size_bytes > MAX_BYTES):
            gone = self._entries.popleft()
            self._size_bytes -= len(gone.payload)
            self.floor, self.floor_at_ms = gone.offset, gone.at_ms


def total_bytes(entries: Sequence[Entry]) -> int:
    """Return how much a replay would be, in bytes of payload."""
    return sum(len(entry.payload) for entry in entries)
