"""The only way out for events: one atomic script gives each its place in the stream's log and sends it on.

Called by activities/dispatch.py for outbox rows, and by whoever streams deltas. Readers are realtime/broker.py (live)
and the log (history).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from realtime.client import ask, ask_many
from realtime.errors import EventTooLargeError, RealtimeUnavailableError
from realtime.keys import check_stream, event_key, live_channel, log_key, meta_key

MAX_EVENT_BYTES: Final = 256 * 1024
"""One giant event overflows every subscriber's output buffer at once (`client-output-buffer-limit pubsub`)."""

_BATCH: Final = 64

# The epoch belongs to one run of the server: a Redis that came back from a snapshot would otherwise hand out offsets
# again that readers have already seen under the same epoch. The script asks for the run id itself, because a run id
# read by the client at connect time can be stale by the time the script runs (INFO costs 5 microseconds).
# Entries carry the server's time, so that "since" means the same in all processes.
# A repeat counts only within its epoch: under a new one the log has lost the event, so it is published again.
_SCRIPT: Final = b"""
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local meta = redis.call('HMGET', KEYS[1], 'run', 'epoch')
local epoch = meta[2]
if not epoch or meta[1] ~= run then
  epoch = ARGV[2]
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'run', run, 'epoch', epoch)
end
local known = redis.call('GET', KEYS[3])
if known then
  local known_epoch, known_offset = string.match(known, '^(.*)|(%d+)$')
  if known_epoch == epoch then return tonumber(known_offset) end
end
local offset = redis.call('HINCRBY', KEYS[1], 'top', 1)
local now = redis.call('TIME')
local at_ms = now[1] .. string.format('%03d', math.floor(now[2] / 1000))
local entry = {'p', ARGV[3], 't', at_ms}
if ARGV[8] ~= '' then entry[5], entry[6] = 'x', ARGV[8] end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], offset .. '-0', unpack(entry))
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[6])
redis.call('SET', KEYS[3], epoch .. '|' .. offset, 'EX', ARGV[7])
redis.call('PUBLISH', ARGV[1], epoch .. '|' .. offset .. '|' .. at_ms .. '|' .. ARGV[8] .. '|' .. ARGV[3])
return offset
"""
_SHA: Final = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Publication:
    """One event on one stream; `payload` is the JSON that readers get, byte for byte.

    The socket `exclude_sid` does not get it, because it caused the event; its client gets it by a later socket.
    """

    stream: str
    event_id: str
    payload: bytes
    exclude_sid: str = ""


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much of each stream is kept. Offsets outlive the log, so that a late reader learns that it missed something."""

    entries: int = 300
    log_ttl_s: int = 600
    meta_ttl_s: int = 7 * 24 * 3600
    event_ttl_s: int = 600


class Publisher:
    """Publishes to streams. One per process; safe for concurrent use."""

    def __init__(self, redis: Redis, *, limits: HistoryLimits | None = None) -> None:
        self._redis = redis
        kept = limits or HistoryLimits()
        self._limits = (kept.entries, kept.log_ttl_s, kept.meta_ttl_s, kept.event_ttl_s)

    async def publish(self, stream: str, event_id: str, payload: bytes) -> int:
        """Store and send one event; return its offset. Idempotent by `event_id` within 10 minutes.

        Raises RealtimeUnavailableError when Redis cannot be reached, EventTooLargeError over 256 KiB.
        """
        return (await self.publish_many([Publication(stream, event_id, payload)]))[0]

    async def publish_many(self, items: Sequence[Publication]) -> list[int]:
        """Publish in the order given, pipelined; return the offsets. Each event is atomic, the batch is not.

        Raises and is idempotent as `publish`: after an error, publish the whole batch again.
        """
        for item in items:
            check_stream(item.stream)
            _check_size(item.payload, item.stream)
        offsets: list[int] = []
        for start in range(0, len(items), _BATCH):
            offsets += await self._publish_batch(items[start : start + _BATCH])
        return offsets

    async def publish_transient(self, stream: str, payload: bytes, *, exclude_sid: str = "") -> int:
        """Send to whoever listens now; nothing is stored, the socket with this sid gets none. Return how many processes got it.

        Raises RealtimeUnavailableError, EventTooLargeError. Not idempotent: deltas and typing carry their own order.
        """
        _check_size(payload, stream)
        message = b"|0||" + exclude_sid.encode() + b"|" + payload
        try:
            return int(cast("int", await ask(self._redis, "PUBLISH", live_channel(check_stream(stream)), message)))
        except (RedisError, OSError) as error:
            raise RealtimeUnavailableError("Redis does not answer") from error

    async def _publish_batch(self, items: Sequence[Publication]) -> list[int]:
        try:
            offsets = await self._run(items)
            if offsets is None:
                # A fresh Redis does not know the script. What did run is remembered by event id, so all may run again.
                await ask(self._redis, "SCRIPT LOAD", _SCRIPT)
                offsets = await self._run(items)
        except (RedisError, OSError) as error:
            raise RealtimeUnavailableError("Redis does not answer") from error
        if offsets is None:
            raise RealtimeUnavailableError("Redis forgot the script twice in a row")
        return offsets

    async def _run(self, items: Sequence[Publication]) -> list[int] | None:
        """Return the offsets, or None when Redis does not know the script. Raises RedisError for anything else."""
        results = await ask_many(self._redis, [("EVALSHA", *self._arguments(item)) for item in items])
        if any(isinstance(result, NoScriptError) for result in results):
            return None
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [int(cast("int", result)) for result in results]

    def _arguments(self, item: Publication) -> tuple[str | int | bytes, ...]:
        entries, log_ttl_s, meta_ttl_s, event_ttl_s = self._limits
        keys = (meta_key(item.stream), log_key(item.stream), event_key(item.stream, item.event_id))
        fresh_epoch = secrets.token_hex(4)
        channel = live_channel(item.stream)
        kept = (entries, log_ttl_s, meta_ttl_s, event_ttl_s)
        return (_SHA, 3, *keys, channel, fresh_epoch, item.payload, *kept, item.exclude_sid)


def _check_size(payload: bytes, stream: str) -> None:
    if len(payload) > MAX_EVENT_BYTES:
        raise EventTooLargeError(f"an event of {len(payload)} bytes on {stream} is over {MAX_EVENT_BYTES}")
