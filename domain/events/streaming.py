"""Events of text as a model makes it: `{type, data, timestamp}` on an execution's or a conversation's token stream."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from domain.events.base import Event
from domain.events.runs import Payload


def execution_tokens_stream(execution_id: str) -> str:
    """Return the token stream of an execution by its public id."""
    return f"ai_streaming:execution:{execution_id}"


def conversation_tokens_stream(conversation_id: str) -> str:
    """Return the token stream of a conversation by its public id."""
    return f"ai_streaming:conversation:{conversation_id}"


class StreamStartData(Payload):
    """Which text begins. A higher `attempt` of the same `stream_id` begins it anew."""

    stream_id: str
    attempt: int
    metadata: dict[str, object]


class TokenData(Payload):
    """A piece of the text. `chunk_index` counts from 0 within one attempt; what was said before is not repeated."""

    stream_id: str
    attempt: int
    content: str
    chunk_index: int


class UsageData(Payload):
    """Tokens that were used."""

    prompt: int
    completion: int
    total: int


class StreamEndData(Payload):
    """The whole text; `cost` in US dollars."""

    stream_id: str
    attempt: int
    content: str
    usage: UsageData
    cost: float
    duration_ms: int


class StreamErrorData(Payload):
    """Why the text ends here; the reason is fit to be shown."""

    stream_id: str
    attempt: int
    error: str
    partial_content: str


class _StreamingEvent(Event):
    stream: str = Field(exclude=True)

    def streams(self) -> list[str]:
        return [self.stream]


class StreamStart(_StreamingEvent):
    """A text begins."""

    type: Literal["stream_start"] = "stream_start"
    data: StreamStartData


class StreamToken(_StreamingEvent):
    """A piece of a text."""

    transient: ClassVar[bool] = True
    type: Literal["token"] = "token"
    data: TokenData


class StreamEnd(_StreamingEvent):
    """A text is whole."""

    type: Literal["stream_end"] = "stream_end"
    data: StreamEndData


class StreamError(_StreamingEvent):
    """A text broke off."""

    type: Literal["stream_error"] = "stream_error"
    data: StreamErrorData


EVENTS: Final[tuple[type[Event], ...]] = (StreamStart, StreamToken, StreamEnd, StreamError)
