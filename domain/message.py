"""What a platform tells us and what we tell a platform, as frozen shapes, and the statuses a message passes through.

Not here: how a platform spells these things (adapters/platform) and how they are stored (db).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final


class Direction(StrEnum):
    """Which way a chat message travels."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageType(StrEnum):
    """The seven types of a chat message."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"
    LOCATION = "location"
    STICKER = "sticker"


class EventKind(StrEnum):
    """What an inbound item is; only `message`, `command` and `action` open a turn."""

    MESSAGE = "message"
    EDIT = "edit"
    DELETE = "delete"
    REACTION = "reaction"
    ACTION = "action"
    COMMAND = "command"
    STATUS = "status"
    IDENTITY = "identity"
    SYSTEM = "system"
    UNKNOWN = "unknown"


TURN_KINDS: Final = frozenset({EventKind.MESSAGE, EventKind.COMMAND, EventKind.ACTION})


class DeliveryStatus(StrEnum):
    """Status of a whole chat message, as readers see it; it never goes down within one generation (MONOTONE)."""

    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class PartStatus(StrEnum):
    """Status of one part of an outbound message: the finer truth, shown as `delivery_detail`."""

    QUEUED = "queued"
    ATTEMPTING = "attempting"
    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    DEAD = "dead"


_RANK: Final = {PartStatus.SENT: 0, PartStatus.DELIVERED: 1, PartStatus.READ: 2}
_OPEN: Final = frozenset({PartStatus.QUEUED, PartStatus.ATTEMPTING, PartStatus.UNKNOWN})
_BY_RANK: Final = (DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ)


def message_status(parts: list[PartStatus]) -> DeliveryStatus:
    """Derive the message's status from its parts: failed if any is dead, pending while any is open, else the lowest."""
    if not parts:
        return DeliveryStatus.PENDING
    if PartStatus.DEAD in parts:
        return DeliveryStatus.FAILED
    if any(part in _OPEN for part in parts):
        return DeliveryStatus.PENDING
    return _BY_RANK[min(_RANK[part] for part in parts)]


def part_may_become(current: PartStatus, target: PartStatus) -> bool:
    """Whether a receipt may move a part from `current` to `target`: upwards only, and never out of `dead`."""
    if target not in _RANK:
        return False
    if current in _OPEN:
        # The platform reports what it did: that also settles an attempt whose answer was lost.
        return True
    return current in _RANK and _RANK[target] > _RANK[current]


@dataclass(frozen=True, slots=True)
class ReplyAddress:
    """Where an answer goes: the platform's own chat, the thread in it and the message answered, as strings."""

    chat: str
    thread: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote an inbound item, by the platform's stable id."""

    id: str
    name: str | None = None
    username: str | None = None
    is_bot: bool = False
    is_self: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with an inbound message, still at the platform."""

    kind: MessageType
    remote_ref: str
    mime_type: str | None = None
    filename: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """A platform's receipt for something that we sent. `nonce`: the send's own, where the platform gives it back; `code`: ours
    for a refusal that asks for something else than giving up.
    """

    platform_message_id: str
    status: PartStatus
    reason: str | None = None
    nonce: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class InboundEvent:
    """One item of a webhook, normalised.

    `dedup_key` is unique per channel and made by the adapter, so that a repeat or a twin event is the same item.
    `order_key` sorts as a plain string in the platform's own order (ORDER); ties go by arrival.
    `session_key` names the conversation: the same person in two threads or groups has two.
    `ignored` carries the reason when the item must open no turn (own echo, another bot, a service message).
    `late`: said too long ago, while nobody listened: it belongs into the session and is not answered any more.
    `known_as`: all the names under which the person's conversation may be found, where the platform has several for them;
    `person`: the one of them that is nobody else's ever, where it is known.
    """

    dedup_key: str
    order_key: str
    kind: EventKind
    session_key: str
    reply_to: ReplyAddress
    sender: Sender
    message_id: str
    text: str
    occurred_at: datetime
    attachments: tuple[Attachment, ...] = ()
    message_type: MessageType = MessageType.TEXT
    raw_index: int = 0
    target_message_id: str | None = None
    status: StatusUpdate | None = None
    ignored: str | None = None
    late: bool = False
    known_as: tuple[str, ...] = ()
    person: str | None = None
    is_group: bool = False
    mentioned_us: bool = False
    metadata: dict[str, str] = field(default_factory=dict[str, str])
