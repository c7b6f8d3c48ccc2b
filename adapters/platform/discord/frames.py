"""Dispatches of Discord's gateway become items: messages, edits, deletions, reactions. The rest tells a bot nothing.

Who is spoken to in a server (`configuration.groups`): `mentions` (default) answers mentions of us and answers to our
messages, `all` answers everything. Called by the connector, also for messages read after a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from adapters.base import ChannelContext
from adapters.bots import refused_as_bot
from adapters.foreign import decode_object, digest
from adapters.platform.discord.content import attachments_of, decode, forwarded, read_content
from adapters.platform.discord.item import Ourselves, Place, answering, at_ms, new_item, sender_of, snowflake
from adapters.platform.discord.payloads import Dispatch, Gone, Message, Reaction
from domain.errors import PayloadError
from domain.message import EventKind, InboundEvent, Sender

_WRITTEN: Final = frozenset({0, 19})
"""A message and a reply; every other type is the system's, or shows a command's result."""

Reader = Callable[[dict[str, object], "Ourselves", bytes, float], tuple[InboundEvent, ...]]


def read_frame(raw: bytes | str, channel: ChannelContext, received_at: float) -> tuple[InboundEvent, ...]:
    """Read one frame; any number of items. Raises PayloadError when it is no JSON object."""
    spelled = raw.encode() if isinstance(raw, str) else raw
    try:
        dispatch = Dispatch.model_validate(decode_object(raw))
        reader = _READERS.get(dispatch.t or "") if dispatch.op == 0 else None
        if reader is None or dispatch.d is None:
            return ()
        return reader(dispatch.d, Ourselves.of(channel), spelled, received_at)
    except ValidationError as error:
        raise PayloadError("the frame is not of a kind that Discord documents") from error


def read_message(message: Message, us: Ourselves, received_at: float) -> InboundEvent:
    """Read one message, from the gateway or from a channel's history: both give the same item."""
    item = _filled(
        _placed(message, EventKind.MESSAGE, f"m:{message.id}", snowflake(message.id), received_at), message, us
    )
    if message.type not in _WRITTEN:
        return replace(item, kind=EventKind.SYSTEM, ignored=f"a system message (type {message.type})")
    replied = message.referenced_message.author if message.referenced_message else None
    mentioned = us.id is not None and (
        any(user.id == us.id for user in message.mentions) or (replied is not None and replied.id == us.id)
    )
    addressed = mentioned or not item.is_group or us.all_in_groups
    return replace(
        item,
        mentioned_us=mentioned and item.is_group,
        ignored=item.ignored or (None if addressed else "not addressed to us"),
    )


def _placed(message: Message, kind: EventKind, key: str, number: int | None, received_at: float) -> InboundEvent:
    place = Place(message.channel_id, message.guild_id, message.author.id if message.author else "")
    item = new_item(kind, key, number, place, received_at)
    return replace(answering(item, message.id), message_id=message.id)


def _filled(item: InboundEvent, message: Message, us: Ourselves) -> InboundEvent:
    said = forwarded(message) or read_content(message)
    sender = sender_of(message.author, message.member, us)
    if message.webhook_id is not None:
        sender = replace(sender, is_bot=True)
    reference = message.message_reference
    answers = reference.message_id if reference and reference.type == 0 else None
    return replace(
        item,
        sender=sender,
        text=decode(said.text, message.mentions, us.id),
        message_type=said.message_type,
        attachments=attachments_of(said, message),
        ignored=_ignored(message, sender, us),
        metadata={"answers_message_id": answers} if answers else {},
    )


def _ignored(message: Message, sender: Sender, us: Ourselves) -> str | None:
    if (refused := refused_as_bot(sender, answered=us.answers_bots)) is not None:
        return refused
    return "a system message" if message.author is not None and message.author.system else None


def _created(d: dict[str, object], us: Ourselves, raw: bytes, received_at: float) -> tuple[InboundEvent, ...]:
    return (read_message(Message.model_validate(d), us, received_at),)


def _updated(d: dict[str, object], us: Ourselves, raw: bytes, received_at: float) -> tuple[InboundEvent, ...]:
    """An edit. Without a time of its own only a preview was added."""
    message = Message.model_validate(d)
    when = _milliseconds(message.edited_timestamp)
    number = None if when is None else at_ms(when)
    item = _placed(message, EventKind.EDIT, f"e:{message.id}:{message.edited_timestamp}", number, received_at)
    item = replace(_filled(item, message, us), target_message_id=message.id)
    if when is None:
        return (replace(item, dedup_key=digest(raw), ignored=item.ignored or "not an edit of the text"),)
    return (item,)


def _deleted(d: dict[str, object], us: Ourselves, raw: bytes, received_at: float) -> tuple[InboundEvent, ...]:
    gone = Gone.model_validate(d)
    items: list[InboundEvent] = []
    for index, message_id in enumerate(gone.ids or [gone.id or ""]):
        place = Place(gone.channel_id, gone.guild_id, "")
        item = new_item(EventKind.DELETE, f"d:{message_id}", None, place, received_at)
        items.append(replace(item, target_message_id=message_id, raw_index=index))
    return tuple(items)


def _reacted(d: dict[str, object], us: Ourselves, raw: bytes, received_at: float) -> tuple[InboundEvent, ...]:
    return (_reaction(d, us, raw, received_at),)


def _took_back(d: dict[str, object], us: Ourselves, raw: bytes, received_at: float) -> tuple[InboundEvent, ...]:
    return (replace(_reaction(d, us, raw, received_at), text=""),)


def _reaction(d: dict[str, object], us: Ourselves, raw: bytes, received_at: float) -> InboundEvent:
    reaction = Reaction.model_validate(d)
    place = Place(reaction.channel_id, reaction.guild_id, reaction.user_id)
    # It has neither id nor time; its frame's number, which a resume repeats, tells one from the next.
    item = new_item(EventKind.REACTION, digest(raw), None, place, received_at)
    emoji = reaction.emoji
    sign = "" if emoji is None else f":{emoji.name}:" if emoji.id else emoji.name or ""
    sender = Sender(reaction.user_id, is_self=reaction.user_id == us.id)
    return replace(item, sender=sender, text=sign, target_message_id=reaction.message_id)


def _milliseconds(spelled: str | None) -> float | None:
    try:
        return datetime.fromisoformat(spelled).timestamp() * 1000 if spelled else None
    except (ValueError, OverflowError):
        return None


_READERS: Final[dict[str, Reader]] = {
    "MESSAGE_CREATE": _created,
    "MESSAGE_UPDATE": _updated,
    "MESSAGE_DELETE": _deleted,
    "MESSAGE_DELETE_BULK": _deleted,
    "MESSAGE_REACTION_ADD": _reacted,
    "MESSAGE_REACTION_REMOVE": _took_back,
}
