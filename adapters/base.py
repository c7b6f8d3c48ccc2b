"""The two protocols of the outside world: `PlatformAdapter` (a chat platform) and `AgentModel` (a model provider).

An adapter only translates: it keeps no state, retries nothing, sleeps never and stores nothing. Retries, waits and
dead letters belong to the workflows that call it through activities. Called by api (verify, parse, check) and by
activities (send, lookup, indicate, locate_media, stream).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from adapters.capabilities import Capabilities
from adapters.limits import Scope
from adapters.webhook import ParsedWebhook, WebhookReply, WebhookRequest
from domain.agent import ModelEvent, ModelRequest
from domain.channel import Platform
from domain.message import Attachment, ReplyAddress, Sender
from domain.outbound import Payload

__all__ = ["ParsedWebhook", "WebhookReply", "WebhookRequest"]


class ErrorClass(StrEnum):
    """How a refused send is treated (design §4.7)."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    PERMANENT = "permanent"
    WINDOW_CLOSED = "window_closed"
    BAD_MARKUP = "bad_markup"
    CHANNEL_BROKEN = "channel_broken"
    GONE = "gone"
    """An edit or a deletion: the message is not there any more, or may not be changed any more."""


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What an adapter may know of a channel. `identity` is what `check` learned of our own bot (ids as strings).

    `webhook_url`: where the platform reaches us, for what has to name it in a message; None where nobody knows.
    """

    channel_id: str
    credentials: Mapping[str, str]
    configuration: Mapping[str, object] = field(default_factory=dict[str, object])
    identity: Mapping[str, str] = field(default_factory=dict[str, str])
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class RenderedPart:
    """One sendable piece: in the platform's dialect, and plain for the single retry after bad markup.

    `payload`: what it carries besides its text, which is then a caption, or the text above buttons, or empty.
    """

    body: str
    plain: str
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file to be uploaded. `open` starts its bytes anew, as chunks, with each call; it is never whole in memory."""

    filename: str
    mime_type: str
    size_bytes: int
    open: Callable[[], Awaitable[AsyncIterator[bytes]]]


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One part to be sent. `session_key` names its conversation; `file`: the bytes of a file part.

    `keep_ref` stores what an upload is called at the platform before it becomes visible, where only that can tell later
    whether it did; it raises as `before_write` does.

    `nonce` is stable across attempts (the platform's idempotency or correlation value where it has one).
    `before_write` is called immediately before the request's bytes leave; it raises when the claim has run out, and
    the adapter lets that error through (fencing, ruling 1). It fences the request that makes the message visible: an upload
    before that may be repeated, for nobody sees it. `as_draft`: show it for a moment, as part of a reply that is being made;
    only where `Capabilities.preview` says `drafts`, and nothing is to be found afterwards.
    """

    address: ReplyAddress
    part: RenderedPart
    nonce: str
    before_write: Callable[[], None]
    as_plain: bool = False
    timeout_s: float = 15.0
    session_key: str = ""
    file: OutgoingFile | None = None
    keep_ref: Callable[[str], Awaitable[None]] | None = None
    as_draft: bool = False

    @property
    def text(self) -> str:
        """The text in the form in which it is to be sent."""
        return self.part.plain if self.as_plain else self.part.body


@dataclass(frozen=True, slots=True)
class EditRequest:
    """One of our messages is to read otherwise, as text alone. Repeating it changes nothing. `nonce`: the one it was sent with."""

    address: ReplyAddress
    message_id: str
    part: RenderedPart
    nonce: str
    before_write: Callable[[], None]
    as_plain: bool = False
    timeout_s: float = 15.0

    @property
    def text(self) -> str:
        """The text in the form in which it is to be shown."""
        return self.part.plain if self.as_plain else self.part.body


@dataclass(frozen=True, slots=True)
class Accepted:
    """The platform took it. `pause_s`: it says beforehand that it takes no more of this kind for so long in this chat."""

    platform_message_id: str
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The platform (or the connection, before any byte left) said no; nothing reached the recipient.

    `code` is the platform's own word, `message` what an operator reads and may act on. `scope`: whom a wait concerns,
    where the platform says so.
    """

    error_class: ErrorClass
    code: str
    message: str
    retry_after_s: float | None = None
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request left, its answer did not come or makes no sense: it may or may not have been delivered."""

    reason: str


SendResult = Accepted | Refused | Unknown


@dataclass(frozen=True, slots=True)
class LookupRequest:
    """Which send to look for, by the nonce it carried, or by what its upload was called (`upload_ref`)."""

    address: ReplyAddress
    nonce: str
    sent_after: datetime
    upload_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The platform has it."""

    platform_message_id: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The platform certainly does not have it."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The platform offers no look-up, or the look-up failed."""

    reason: str
    retry_after_s: float | None = None


LookupResult = Found | Absent | CannotTell


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What testing a channel found. `identity` is kept on the channel (own bot ids, to ignore our own echoes)."""

    ok: bool
    identity: Mapping[str, str] = field(default_factory=dict[str, str])
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaSource:
    """Where a file is that a person sent. `url` and `headers` may hold the bot's token, so they are never shown.

    What the platform says of the file is a hint: its content decides. `moved_means`: what a redirect says there, where
    it does not lead to the file.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    mime_type: str | None = None
    filename: str | None = None
    moved_means: str | None = None


class Indication(StrEnum):
    """A passing sign to the person."""

    TYPING = "typing"
    READ = "read"


class PlatformAdapter(Protocol):
    """One chat platform. Registered by `@register("name")` in its own file under adapters/platform."""

    platform: Platform
    capabilities: Capabilities

    def verify(self, request: WebhookRequest, channel: ChannelContext, now: float) -> None:
        """Check that the platform sent this, failing closed. `now`: Unix seconds. Raises SignatureError."""
        ...

    def parse(self, request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
        """Read a verified webhook; an item that is not understood becomes kind `unknown`.

        Raises PayloadError only when the body as a whole cannot be read.
        """
        ...

    def render(self, markdown: str, limit: int | None = None) -> list[RenderedPart]:
        """Render agents' Markdown in the platform's dialect, split so that no part is over the platform's limit.

        `limit`: a smaller one, in the same unit, for a caption or a text above buttons.
        """
        ...

    async def send(self, channel: ChannelContext, request: SendRequest) -> SendResult:
        """Try once to send one part. Raises only what `request.before_write` raises."""
        ...

    async def edit(self, channel: ChannelContext, request: EditRequest) -> SendResult:
        """Try once to change one of our messages. Raises only what `request.before_write` raises."""
        ...

    async def delete(self, channel: ChannelContext, address: ReplyAddress, message_id: str) -> SendResult:
        """Try once to take one of our messages back; one that is gone already is accepted."""
        ...

    async def lookup(self, channel: ChannelContext, request: LookupRequest) -> LookupResult:
        """Find out whether a send whose answer was lost arrived."""
        ...

    async def locate_media(self, channel: ChannelContext, attachment: Attachment) -> MediaSource:
        """Say where a file is that a person sent; adapters/downloads.py downloads it.

        Asked anew for each attempt, because addresses expire. Raises InvalidInputError or UnavailableError.
        """
        ...

    async def indicate(self, channel: ChannelContext, address: ReplyAddress, indication: Indication) -> None:
        """Show a passing sign; a platform that has none, or fails, does nothing."""
        ...

    async def profile(self, channel: ChannelContext, person: str) -> Sender | None:
        """Ask for the name of a person, by the platform's id; None where it has none or does not tell us, for good.

        Only where `Capabilities.names_apart` says that messages come without it. Raises UnavailableError.
        """
        ...

    async def check(self, channel: ChannelContext, webhook_url: str | None) -> CheckResult:
        """Test the credentials; with `webhook_url`, also register it where the platform has an API for that."""
        ...


class AgentModel(Protocol):
    """One way to reach models. The loop round it (tools, limits, retries) is ours and durable; see workflows/turn."""

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream one model request's deltas, tool calls and usage. Raises ModelError."""
        ...
