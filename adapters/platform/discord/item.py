"""What all Discord items share: ids that hold their time, sessions, and who we are. Called by interactions.py and frames.py.

A direct chat is a session; in a server each person has one per channel (a thread is a channel there), whether they write
or use commands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from adapters.base import ChannelContext
from adapters.bots import answers_bots
from adapters.foreign import instant
from adapters.platform.discord.payloads import Member, User
from domain.message import EventKind, InboundEvent, ReplyAddress, Sender

_EPOCH_MS: Final = 1_420_070_400_000
"""An id's upper bits are milliseconds since 2015 (https://docs.discord.com/developers/reference#snowflakes)."""

_LARGEST: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Ourselves:
    """Our own bot, as far as it is known."""

    id: str | None
    all_in_groups: bool
    answers_bots: bool = False

    @classmethod
    def of(cls, channel: ChannelContext) -> Ourselves:
        """Read what `check` learned."""
        all_in_groups = channel.configuration.get("groups") == "all"
        return cls(channel.identity.get("id"), all_in_groups, answers_bots(channel))


@dataclass(frozen=True, slots=True)
class Place:
    """Where something happened: the channel, and whether it belongs to a server."""

    channel: str
    guild: str | None
    user: str

    @property
    def session(self) -> str:
        """The conversation's name."""
        return f"{self.channel}:{self.user}" if self.guild else self.channel


def snowflake(spelled: str | None) -> int | None:
    """Return an id as a number; None where it is none."""
    if spelled is None or not (spelled.isascii() and spelled.isdigit() and len(spelled) <= 20):
        return None
    number = int(spelled)
    return number if number < _LARGEST else None


def at_ms(milliseconds: float) -> int:
    """Return the smallest id of that time, to order what has a time and no id of its own."""
    return max(int(milliseconds) - _EPOCH_MS, 0) << 22


def new_item(kind: EventKind, key: str, number: int | None, place: Place, received_at: float) -> InboundEvent:
    """Return an item. `number`: the id, or the time as one, by which it is ordered; None: when it was received."""
    order = at_ms(received_at * 1000) if number is None else number
    return InboundEvent(
        dedup_key=key,
        order_key=f"{order:020d}",
        kind=kind,
        session_key=place.session,
        reply_to=ReplyAddress(chat=place.channel),
        sender=Sender(place.user),
        message_id=key,
        text="",
        occurred_at=instant(((order >> 22) + _EPOCH_MS) / 1000, received_at),
        is_group=place.guild is not None,
    )


def sender_of(user: User | None, member: Member | None, us: Ourselves) -> Sender:
    """Return who it was, by the name that people see."""
    if user is None:
        return Sender("")
    name = (member.nick if member else None) or user.global_name or user.username
    return Sender(user.id, name, user.username, is_bot=user.bot, is_self=user.id == us.id)


def answering(item: InboundEvent, message_id: str) -> InboundEvent:
    """Let the answer refer to a message."""
    return replace(item, reply_to=replace(item.reply_to, message=message_id))
