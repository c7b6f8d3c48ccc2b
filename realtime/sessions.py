"""What a socket was subscribed to, kept in Redis for a while, so that any process can take it over after a drop.

A record says which identifiers, never what they lead to: whoever restores is authorised anew. Written behind: a record
that is some milliseconds old, or lost, only makes the client subscribe again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime.client import Command, ask, ask_many
from realtime.identity import Identity
from realtime.keys import session_key

log = structlog.stdlib.get_logger(__name__)

MAX_RECORD_BYTES: Final = 64 * 1024
_GRACE_S: Final = 15
"""How long a used sid still serves: the answer to its first use may never have arrived."""
_DELAY_S: Final = 0.02
_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Record:
    """Whose socket it was, and its subscriptions."""

    user_id: UUID
    account_id: UUID
    identifiers: tuple[str, ...]

    def belongs_to(self, identity: Identity) -> bool:
        """Whether this person may take it over."""
        return (self.user_id, self.account_id) == (identity.user_id, identity.account_id)


class Sessions:
    """Remembers and finds records. One per process."""

    def __init__(self, redis: Redis, ttl_s: float) -> None:
        self._redis = redis
        self._ttl_s = max(1, int(ttl_s))
        self._records: dict[str, Record] = {}
        self._unwritten: dict[str, Record] = {}
        self._changed = asyncio.Event()

    def remember(self, sid: str, identity: Identity, identifiers: Sequence[str]) -> None:
        """Keep what a live socket is subscribed to; written soon."""
        record = Record(identity.user_id, identity.account_id, tuple(identifiers))
        self._records[sid] = self._unwritten[sid] = record
        self._changed.set()

    def close(self, sid: str) -> None:
        """The socket is gone; its record lives on in Redis for its time."""
        record = self._records.pop(sid, None)
        if record is not None:
            self._unwritten[sid] = record  # its time counts from now
            self._changed.set()

    async def take(self, sid: str) -> Record | None:
        """Return the record of an earlier socket, if there is one and Redis answers. It serves for a little longer."""
        here = self._records.get(sid) or self._unwritten.get(sid)
        try:
            raw = cast("bytes | None", await ask(self._redis, "GETEX", session_key(sid), "EX", _GRACE_S))
        except (RedisError, OSError) as error:
            log.info("realtime.session_not_read", error=type(error).__name__)
            return None
        return here or (None if raw is None else _parse(raw))

    def drop(self, sid: str) -> None:
        """Refresh it no more: its client has moved on to another sid."""
        self._records.pop(sid, None)
        self._unwritten.pop(sid, None)

    async def run(self) -> None:
        """Write behind and refresh until cancelled."""
        loop = asyncio.get_running_loop()
        refreshed_at = loop.time()
        while True:
            try:
                async with asyncio.timeout(self._ttl_s / 4):
                    await self._changed.wait()
            except TimeoutError:
                pass
            if loop.time() - refreshed_at > self._ttl_s / 2:
                self._unwritten |= self._records
                refreshed_at = loop.time()
            await self.flush()
            await asyncio.sleep(_DELAY_S)

    async def flush(self) -> None:
        """Write what is not written yet. What Redis does not take is lost; the refreshing brings it back."""
        self._changed.clear()
        unwritten, self._unwritten = self._unwritten, {}
        items = list(unwritten.items())
        for start in range(0, len(items), _BATCH):
            commands: list[Command] = [
                ("SET", session_key(sid), _dump(record), "EX", self._ttl_s)
                for sid, record in items[start : start + _BATCH]
            ]
            try:
                await ask_many(self._redis, commands)
            except (RedisError, OSError) as error:
                log.info("realtime.sessions_not_written", error=type(error).__name__)


def _dump(record: Record) -> bytes:
    kept, size = list[str](), 0
    for identifier in record.identifiers:
        size += len(identifier)
        if size > MAX_RECORD_BYTES:
            break  # the client subscribes again to what is not in the answer
        kept.append(identifier)
    return orjson.dumps({"user": record.user_id, "account": record.account_id, "ids": kept})


def _parse(raw: bytes) -> Record | None:
    try:
        fields: dict[str, object] = orjson.loads(raw)
        ids = cast("list[str]", fields["ids"])
        return Record(UUID(str(fields["user"])), UUID(str(fields["account"])), tuple(ids))
    except (ValueError, KeyError, TypeError):
        return None
