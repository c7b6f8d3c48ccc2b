"""Who is connected and what they hear, in all processes: each is asked on the control stream and answers into a list.

Asked by api/realtime.py for one account at a time; realtime/hub.py hands in what this process has.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime.client import ask, ask_many
from realtime.control import CONTROL_STREAM, Tell
from realtime.errors import RealtimeUnavailableError
from realtime.publish import Publisher
from realtime.tasks import cancel_all

log = structlog.stdlib.get_logger(__name__)

PATIENCE_S: Final = 2.0
"""How long processes may take to answer; one that is stopped just now is left out."""
MAX_SEEN: Final = 2_000
"""Sockets in one process's answer."""
_KEPT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """One socket. `id` tells it from others and restores nothing. Shape of `hears`: identifier -> streams."""

    id: str
    user_id: UUID
    name: str
    waiting_bytes: int
    sent_bytes: int
    hears: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Answers:
    """`whole`: every process has answered, and with all it has."""

    seen: list[Seen]
    whole: bool


class Survey:
    """Asks and answers. `look` returns all of an account's sockets in this process."""

    def __init__(self, redis: Redis, publisher: Publisher, look: Callable[[str], Sequence[Seen]]) -> None:
        self._redis = redis
        self._publisher = publisher
        self._look = look
        self._answering: set[asyncio.Task[None]] = set()

    async def ask(self, account_id: UUID) -> Answers:
        """Return the sockets of an account in all processes. Raises RealtimeUnavailableError."""
        key = f"{{survey:{secrets.token_urlsafe(12)}}}"
        order = Tell(str(account_id), key)
        wanted = await self._publisher.publish_transient(CONTROL_STREAM, order.dump())
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        answers: list[bytes] = []
        try:
            while len(answers) < wanted and (left_s := deadline - loop.time()) > 0:
                # In short turns: Redis takes 0 as for ever, and the client's own time-out is 3 s.
                found = cast("list[bytes] | None", await ask(self._redis, "BLPOP", key, f"{max(0.01, left_s):.3f}"))
                answers += found[1:] if found else []
        except (RedisError, OSError) as error:
            raise RealtimeUnavailableError("Redis does not answer") from error
        found_by = [cast("list[dict[str, object]]", orjson.loads(raw)) for raw in answers]
        whole = len(answers) == wanted > 0 and all(len(found) < MAX_SEEN for found in found_by)
        return Answers([_read(one) for found in found_by for one in found], whole)

    def answer(self, order: Tell) -> None:
        """Answer in the background."""
        task = asyncio.create_task(self._answer(order))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def stop(self) -> None:
        """End what is not answered yet."""
        await cancel_all(list(self._answering))

    async def _answer(self, order: Tell) -> None:
        found = orjson.dumps(self._look(order.account_id)[:MAX_SEEN], default=str)  # ids as the database has them
        try:
            await ask_many(self._redis, [("RPUSH", order.to, found), ("EXPIRE", order.to, _KEPT_S)])
        except (RedisError, OSError) as error:
            log.info("realtime.survey_not_answered", error=type(error).__name__)


def _read(fields: dict[str, object]) -> Seen:
    return Seen(
        id=str(fields["id"]),
        user_id=UUID(str(fields["user_id"])),
        name=str(fields["name"]),
        waiting_bytes=cast("int", fields["waiting_bytes"]),
        sent_bytes=cast("int", fields["sent_bytes"]),
        hears=cast("dict[str, list[str]]", fields["hears"]),
    )
