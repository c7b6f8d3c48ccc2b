"""Sends a text as a model makes it to an execution's or a conversation's token stream.

Beginnings and ends are stored, so that who comes late can read them; pieces are passing. Nothing here is the record: the
text itself is kept by who makes it. Best effort: while Redis is away the pieces are lost, and the maker goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from domain.events.base import Event
from domain.events.streaming import (
    StreamEnd,
    StreamEndData,
    StreamError,
    StreamErrorData,
    StreamStart,
    StreamStartData,
    StreamToken,
    TokenData,
    UsageData,
)
from realtime.errors import EventTooLargeError, RealtimeUnavailableError
from realtime.publish import Publisher

log = structlog.get_logger()


class TokenStream:
    """One attempt at one text. `stream`: by domain/events/streaming.py; `stream_id`: the text's own id."""

    def __init__(self, publisher: Publisher, stream: str, stream_id: str, attempt: int = 1) -> None:
        self._publisher = publisher
        self._stream = stream
        self._id = stream_id
        self._attempt = attempt
        self._began = datetime.now(UTC)
        self._pieces: list[str] = []

    async def start(self, metadata: Mapping[str, object] | None = None) -> None:
        """Say that the text begins."""
        data = StreamStartData(stream_id=self._id, attempt=self._attempt, metadata=dict(metadata or {}))
        await self._send(StreamStart(stream=self._stream, timestamp=self._began, data=data))

    async def token(self, content: str) -> None:
        """Send the next piece."""
        data = TokenData(stream_id=self._id, attempt=self._attempt, content=content, chunk_index=len(self._pieces))
        self._pieces.append(content)
        await self._send(StreamToken(stream=self._stream, timestamp=datetime.now(UTC), data=data))

    async def end(self, *, prompt_tokens: int, completion_tokens: int, cost: float = 0) -> None:
        """Say that the text is whole, with all of it."""
        now = datetime.now(UTC)
        usage = UsageData(prompt=prompt_tokens, completion=completion_tokens, total=prompt_tokens + completion_tokens)
        data = StreamEndData(
            stream_id=self._id,
            attempt=self._attempt,
            content="".join(self._pieces),
            usage=usage,
            cost=cost,
            duration_ms=int((now - self._began).total_seconds() * 1000),
        )
        await self._send(StreamEnd(stream=self._stream, timestamp=now, data=data))

    async def fail(self, reason: str) -> None:
        """Say that the text broke off; `reason` is fit to be shown."""
        data = StreamErrorData(
            stream_id=self._id, attempt=self._attempt, error=reason, partial_content="".join(self._pieces)
        )
        await self._send(StreamError(stream=self._stream, timestamp=datetime.now(UTC), data=data))

    async def _send(self, event: StreamStart | StreamToken | StreamEnd | StreamError) -> None:
        try:
            await self._publish(event, event.type)
        except (RealtimeUnavailableError, EventTooLargeError) as error:
            log.info("realtime.token_dropped", stream=self._stream, kind=event.type, reason=str(error))

    async def _publish(self, event: Event, kind: str) -> None:
        payload = event.model_dump_json().encode()
        if event.transient:
            await self._publisher.publish_transient(self._stream, payload)
        else:
            await self._publisher.publish(self._stream, f"{self._id}:{self._attempt}:{kind}", payload)
