"""What all Mattermost items share: where they happened, when, and who we are. Called by parsing.py and frames.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.base import ChannelContext
from adapters.bots import answers_bots
from adapters.foreign import instant
from domain.message import EventKind, InboundEvent, ReplyAddress, Sender

NONCE: Final = "powernode_nonce"
"""The name in a post's `props` by which our own posts are known, and looked up."""

_LATEST_MS: Final = 10**14


@dataclass(frozen=True, slots=True)
class Place:
    """A place in Mattermost. `root`: the thread, where there is one; `post`: the message."""

    channel: str = ""
    root: str | None = None
    post: str | None = None
    direct: bool = False

    @property
    def thread(self) -> str | None:
        """The thread that an answer goes to: the post's own, or in a channel a new one under the post."""
        return self.root or (None if self.direct else self.post)


@dataclass(frozen=True, slots=True)
class Ourselves:
    """Our own bot, as far as it is known."""

    id: str | None
    username: str | None
    all_in_groups: bool
    answers_bots: bool = False

    @classmethod
    def of(cls, channel: ChannelContext) -> Ourselves:
        """Read what `check` learned."""
        all_in_groups = channel.configuration.get("groups") == "all"
        return cls(channel.identity.get("id"), channel.identity.get("username"), all_in_groups, answers_bots(channel))


def new_item(kind: EventKind, key: str, place: Place, at_ms: int, received_at: float) -> InboundEvent:
    """Return an item; without a time of its own it happened when it was received."""
    moment_ms = at_ms if 0 < at_ms < _LATEST_MS else int(received_at * 1000)
    return InboundEvent(
        dedup_key=key,
        order_key=f"{max(moment_ms, 0):015d}",
        kind=kind,
        session_key=f"{place.channel}:{place.thread}" if place.thread else place.channel,
        reply_to=ReplyAddress(chat=place.channel, thread=place.thread, message=place.post),
        sender=Sender(""),
        message_id=place.post or key,
        text="",
        occurred_at=instant(moment_ms / 1000, received_at),
        is_group=bool(place.channel) and not place.direct,
    )
