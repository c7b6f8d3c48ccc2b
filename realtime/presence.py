"""Who is present on a stream, across processes: a sorted set of sockets with the time until when each counts.

A socket that closes does not leave: its people stay for the time to live, so that a reload is no leaving and joining.
Called by realtime/consumer.py for commands; realtime/hub.py runs the refreshing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Final, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime.client import Script
from realtime.errors import RealtimeUnavailableError
from realtime.keys import live_channel, member_counts_key, member_infos_key, members_key
from realtime.protocol import Member

log = structlog.stdlib.get_logger(__name__)

MAX_RECORDS: Final = 1000
_PARALLEL: Final = 16

# One script for all: whoever comes by sweeps what has run out first, and tells of it, so that no process must be
# elected for it and nobody is told twice. The last socket of an id is its leaving, the first its joining.
_SCRIPT: Final = Script(b"""
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local channel, ttl_ms, op = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local function gone(member)
  local id = string.match(member, '^(.-)\\31')
  if redis.call('HINCRBY', KEYS[2], id, -1) > 0 then return end
  redis.call('HDEL', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  redis.call('PUBLISH', channel, '!{"type":"leave","id":' .. id .. '}')
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], member)
  gone(member)
end
if op == 'join' then
  for i = 4, #ARGV, 3 do
    local id, info = ARGV[i + 1], ARGV[i + 2]
    if redis.call('ZADD', KEYS[1], now + ttl_ms, ARGV[i]) == 1 and redis.call('HINCRBY', KEYS[2], id, 1) == 1 then
      redis.call('HSET', KEYS[3], id, info)
      redis.call('PUBLISH', channel, '!{"type":"join","id":' .. id .. ',"info":' .. info .. '}')
    end
  end
elseif op == 'leave' then
  if redis.call('ZREM', KEYS[1], ARGV[4]) == 1 then gone(ARGV[4]) end
end
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ttl_ms * 4) end
if op ~= 'list' then return {} end
local total = redis.call('HLEN', KEYS[3])
if tonumber(ARGV[4]) == 0 then return {total} end
if total <= tonumber(ARGV[4]) then return {total, redis.call('HGETALL', KEYS[3])} end
return {total, redis.call('HSCAN', KEYS[3], 0, 'COUNT', ARGV[4])[2]}
""")


@dataclass(frozen=True, slots=True)
class _Seat:
    """One socket of one id on one stream."""

    stream: str
    key: str


class Presence:
    """The presence of one process's sockets. Shape: stream and seat -> who."""

    def __init__(self, redis: Redis, ttl_s: float) -> None:
        self._redis = redis
        self._ttl_ms = int(ttl_s * 1000)
        self._period_s = ttl_s / 3
        self._seats: dict[_Seat, Member] = {}
        self._watched: Counter[str] = Counter()

    async def join(self, stream: str, sid: str, member: Member) -> None:
        """Make an id present by this socket; all others hear of it if it is the first. Idempotent by id and sid.

        Raises RealtimeUnavailableError.
        """
        seat = _Seat(stream, f"{member.id}\x1f{sid}")
        self._seats[seat] = member
        await self._run(stream, "join", seat.key, member.id, member.info)

    async def leave(self, stream: str, sid: str, member: Member) -> None:
        """End it; all others hear of it if it was the last. Raises RealtimeUnavailableError."""
        seat = _Seat(stream, f"{member.id}\x1f{sid}")
        if self._seats.pop(seat, None) is not None:
            await self._run(stream, "leave", seat.key)

    def forget(self, stream: str, sid: str, member: Member) -> None:
        """Refresh it no more: the socket is closed, and its time runs out unless the client returns."""
        self._seats.pop(_Seat(stream, f"{member.id}\x1f{sid}"), None)

    async def answer(self, stream: str, *, records: bool) -> bytes:
        """Return who is present as the message that clients expect. Raises RealtimeUnavailableError."""
        found = cast("list[object]", await self._run(stream, "list", MAX_RECORDS if records else 0))
        parts = [b'{"type":"info","total":%d' % cast("int", found[0])]
        if records:
            flat = cast("list[bytes]", found[1])
            people = [b'{"id":%s,"info":%s}' % pair for pair in zip(flat[::2], flat[1::2], strict=True)]
            parts += [b',"records":[', b",".join(people), b"]"]
        return b"".join([*parts, b"}"])

    def watch(self, stream: str) -> None:
        """Somebody here wants to hear who leaves."""
        self._watched[stream] += 1

    def unwatch(self, stream: str) -> None:
        """Undo `watch`."""
        self._watched[stream] -= 1
        if self._watched[stream] <= 0:
            del self._watched[stream]

    async def run(self) -> None:
        """Refresh and sweep until cancelled; an absent Redis is tried again."""
        while True:
            await asyncio.sleep(self._period_s)
            await self._refresh()

    async def _refresh(self) -> None:
        arguments: dict[str, list[str | bytes]] = {stream: [] for stream in self._watched}
        for seat, member in self._seats.items():
            arguments.setdefault(seat.stream, []).extend((seat.key, member.id, member.info))
        streams = list(arguments)
        for start in range(0, len(streams), _PARALLEL):
            runs = (self._run(stream, "join", *arguments[stream]) for stream in streams[start : start + _PARALLEL])
            for outcome in await asyncio.gather(*runs, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    log.info("realtime.presence_not_refreshed", error=type(outcome).__name__)

    async def _run(self, stream: str, operation: str, *arguments: str | bytes | int) -> object:
        keys = (members_key(stream), member_counts_key(stream), member_infos_key(stream))
        try:
            return await _SCRIPT.run(self._redis, keys, live_channel(stream), self._ttl_ms, operation, *arguments)
        except (RedisError, OSError) as error:
            raise RealtimeUnavailableError("Redis does not answer") from error
