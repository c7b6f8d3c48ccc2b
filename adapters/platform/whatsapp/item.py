"""What all WhatsApp items share: whose number they concern, when they happened, in which order. Called by parsing.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from adapters.base import ChannelContext, WebhookRequest
from adapters.foreign import instant
from adapters.platform.whatsapp.payloads import Contact, Message, Value
from domain.message import EventKind, InboundEvent, ReplyAddress, Sender

_SECONDS: Final = re.compile(r"\d{1,12}", re.ASCII)


def digits(number: str | None) -> str:
    """Return a phone number's digits; its written forms differ in signs and blanks."""
    return re.sub(r"\D", "", number or "", flags=re.ASCII)


@dataclass(slots=True)
class Reading:
    """The request being read. `position` counts its items: times have whole seconds, so it breaks their ties."""

    request: WebhookRequest
    own_phone_id: str
    all_in_groups: bool
    position: int = 0

    @classmethod
    def of(cls, request: WebhookRequest, channel: ChannelContext) -> Reading:
        """Build it from the channel's credentials and configuration."""
        own = channel.credentials.get("phone_number_id", "")
        return cls(request, own, channel.configuration.get("groups") == "all")

    def item(self, kind: EventKind, key: str, timestamp: str | int | None, chat: str = "") -> InboundEvent:
        """Return an item with everything that all kinds share."""
        self.position += 1
        spelled = str(timestamp)
        at = int(spelled) if _SECONDS.fullmatch(spelled) else int(self.request.received_at)
        return InboundEvent(
            dedup_key=key,
            order_key=f"{at:012d}.{self.position:06d}",
            kind=kind,
            session_key=chat,
            reply_to=ReplyAddress(chat=chat),
            sender=Sender(""),
            message_id=key,
            text="",
            occurred_at=instant(float(at), self.request.received_at),
            raw_index=self.position - 1,
        )

    def unknown(self, key: str, reason: str) -> InboundEvent:
        """Return an item for what is not understood."""
        return replace(self.item(EventKind.UNKNOWN, key, None), text=reason[:500])

    def foreign_number(self, value: Value) -> str | None:
        """Return the id of the number that a change concerns where it is not this channel's."""
        named = value.metadata.phone_number_id if value.metadata else None
        return named if named and named != self.own_phone_id else None


def sender_of(message: Message, contacts: list[Contact]) -> Sender:
    """Return who wrote. The number is the id where it is shown, else the business-scoped user id."""
    own = message.from_ or message.from_user_id or ""
    known = {message.from_, message.from_user_id} - {None}
    contact = next((one for one in contacts if {one.wa_id, one.user_id} & known), None)
    profile = contact.profile if contact else None
    return Sender(own, profile.name if profile else None, profile.username if profile else None)


def placed(item: InboundEvent, message: Message) -> InboundEvent:
    """Put an item where its message is: with one person, or in a group, which is one session for all its members.

    A person may hide their number from one message to the next, so both names are told; numbers get new owners in time, user
    ids do not.
    """
    chat = message.group_id or item.sender.id
    names = tuple(name for name in (message.from_, message.from_user_id) if name)
    return replace(
        item,
        known_as=() if message.group_id else names,
        person=message.from_user_id,
        session_key=chat,
        reply_to=ReplyAddress(chat=chat, message=message.id),
        message_id=message.id,
        is_group=message.group_id is not None,
    )
