"""A verified WhatsApp body becomes inbound items: every message, receipt and notice of every change of every entry.

One body may hold several of our numbers; what concerns another one is kept, under a key of its own, and not answered.
Who is spoken to in a group (`configuration.groups`): `mentions` (default) answers messages that name our number or
answer one of ours, `all` answers everything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

from pydantic import ValidationError

from adapters.base import ChannelContext, ErrorClass, ParsedWebhook, WebhookReply, WebhookRequest
from adapters.foreign import decode_object, digest
from adapters.platform.whatsapp.content import read_content
from adapters.platform.whatsapp.errors import WINDOW_CLOSED, words_of
from adapters.platform.whatsapp.item import Reading, digits, placed, sender_of
from adapters.platform.whatsapp.payloads import Envelope, Message, Status, UserIdUpdate, Value
from domain.errors import PayloadError
from domain.message import EventKind, InboundEvent, PartStatus, Sender, StatusUpdate

_STATUSES: Final = {
    "sent": PartStatus.SENT,
    "delivered": PartStatus.DELIVERED,
    "read": PartStatus.READ,
    "played": PartStatus.READ,
    "failed": PartStatus.DEAD,
}
_PASSING: Final = (
    "account_", "automatic_events", "business_", "calls", "consumer_profile", "flows", "group_", "history",
    "message_echoes", "message_template_", "messaging_handovers", "partner_solutions", "payment_configuration_update",
    "phone_number_", "security", "smb_app_state_sync", "standby", "template_category_update", "tracking_events",
    "user_preferences",
)  # fmt: skip
_MOVES: Final = frozenset({"user_changed_number", "user_changed_user_id"})
"""System messages after which somebody is found under another name. Number → number, user id → user id."""

_SILENT: Final = frozenset({"request_welcome", "ephemeral"})


@dataclass(frozen=True, slots=True)
class _Change:
    reading: Reading
    value: Value
    raw: Mapping[str, object]


def parse_body(request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
    """Read a handshake or a body. Raises PayloadError when it is neither."""
    if request.method == "GET":
        return ParsedWebhook(reply=WebhookReply(request.query.get("hub.challenge", "").encode()))
    raw = decode_object(request.body)
    try:
        envelope = Envelope.model_validate(raw)
    except ValidationError as error:
        raise PayloadError("the body is not of a kind that the Cloud API documents") from error
    if envelope.about != "whatsapp_business_account" or not envelope.entry:
        raise PayloadError("the body is no notice of a WhatsApp business account")
    reading = Reading.of(request, channel)
    events = tuple(event for entry in envelope.entry for event in _entry(reading, entry))
    return ParsedWebhook(events=events)


def _entry(reading: Reading, entry: Mapping[str, object]) -> Iterator[InboundEvent]:
    changes = entry.get("changes")
    for change in cast("list[object]", changes) if isinstance(changes, list) else []:
        if isinstance(change, dict):
            yield from _change(reading, cast("dict[str, object]", change))
        else:
            yield reading.unknown(_digest(change), "a change that is no object")


def _change(reading: Reading, raw: Mapping[str, object]) -> Iterator[InboundEvent]:
    field = raw.get("field")
    try:
        change = _Change(reading, Value.model_validate(raw.get("value")), raw)
    except ValidationError:
        yield reading.unknown(_digest(raw), f"a change of {field} without a readable value")
        return
    if field == "messages":
        yield from _items(change, change.value.messages, _message)
        yield from _items(change, change.value.statuses, _status)
        for problem in change.value.errors:
            item = reading.item(EventKind.SYSTEM, f"{_digest(raw)}:e{reading.position}", None)
            yield replace(item, text=words_of(problem), ignored="an error that WhatsApp reports")
    elif field == "smb_message_echoes":
        yield from _items(change, change.value.message_echoes, _echo)
    elif field == "user_id_update":
        yield from _items(change, change.value.user_id_update, _renamed)
    elif isinstance(field, str) and field.startswith(_PASSING):
        yield replace(reading.item(EventKind.SYSTEM, _digest(raw), None), ignored=f"{field} changes are not used"[:200])
    else:
        yield reading.unknown(_digest(raw), f"unknown kind of change: {field}")


def _items(
    change: _Change, items: list[object], reader: Callable[[_Change, object], InboundEvent]
) -> Iterator[InboundEvent]:
    foreign = change.reading.foreign_number(change.value)
    for raw in items:
        try:
            item = reader(change, raw)
        except ValidationError as error:
            where = ", ".join(".".join(map(str, one["loc"])) for one in error.errors()[:3])
            item = change.reading.unknown(_digest(raw), f"unreadable item, at: {where}")
        if foreign is not None:
            # Its own key: the channel that this number belongs to may share an address, never a verdict.
            item = replace(item, dedup_key=f"n:{foreign}:{item.dedup_key}", ignored=f"for another number ({foreign})")
        yield item


def _message(change: _Change, raw: object) -> InboundEvent:
    message = Message.model_validate(raw)
    kind, target = _kind(message)
    item = change.reading.item(kind, message.id, message.timestamp)
    item = placed(replace(item, sender=sender_of(message, change.value.contacts)), message)
    item = replace(item, target_message_id=target, metadata=_metadata(message))
    if kind is EventKind.IDENTITY:
        return _identity(item, message)
    if kind in {EventKind.REACTION, EventKind.DELETE}:
        return replace(item, text=message.reaction.emoji if message.reaction else "")
    if message.type in _SILENT:
        return replace(item, kind=EventKind.SYSTEM, ignored=f"{message.type} messages are not used")
    content = message.edit.message if message.edit and message.edit.message else message
    said = read_content(content)
    if said.data is not None and kind is EventKind.MESSAGE:
        item = replace(item, kind=EventKind.ACTION, target_message_id=message.context.id if message.context else None)
        item.metadata["value"] = said.data
    item = replace(item, text=said.text, message_type=said.message_type, attachments=said.attachments)
    return _addressed(change, item, message)


def _kind(message: Message) -> tuple[EventKind, str | None]:
    """Return what a message is, and the message that it is about."""
    if message.type == "reaction" and message.reaction is not None:
        return EventKind.REACTION, message.reaction.message_id
    if message.type == "edit" and message.edit is not None:
        return EventKind.EDIT, message.edit.original_message_id
    if message.type == "revoke" and message.revoke is not None:
        return EventKind.DELETE, message.revoke.original_message_id
    return (EventKind.IDENTITY if message.system is not None else EventKind.MESSAGE), None


def _metadata(message: Message) -> dict[str, str]:
    context = message.context
    kept = {
        "user_id": message.from_user_id,
        "answers_message_id": context.id if context else None,
        "forwarded": "true" if context and (context.forwarded or context.frequently_forwarded) else None,
        "error": words_of(message.errors[0]) if message.errors else None,
    }
    return {name: value for name, value in kept.items() if value}


def _identity(item: InboundEvent, message: Message) -> InboundEvent:
    """Somebody is known by another number or id from now on; `metadata` names both. Another phone alone moves nothing."""
    note = message.system
    assert note is not None
    numbers, ids = (message.from_, note.wa_id), (message.from_user_id, note.user_id)
    told = (ids, numbers) if note.type == "user_changed_user_id" else (numbers, ids)
    previous, current = next((pair for pair in told if all(pair)), (item.sender.id, note.wa_id or note.user_id))
    known = _moved(note.type, previous or "", current or "")
    return replace(item, text=note.body, ignored=f"identity: {note.type or 'changed'}"[:200], metadata=known)


def _moved(kind: str, previous: str, current: str) -> dict[str, str]:
    known = {"identity": kind, "previous": previous, "current": current}
    if kind in _MOVES and previous and current and previous != current:
        known |= {"moved_from": previous, "moved_to": current}
    return known


def _addressed(change: _Change, item: InboundEvent, message: Message) -> InboundEvent:
    if not item.is_group:
        return item
    ours = digits(change.value.metadata.display_phone_number if change.value.metadata else None)
    answers_us = bool(ours) and message.context is not None and digits(message.context.from_) == ours
    mentioned = answers_us or (bool(ours) and f"@{ours}" in item.text) or item.kind is EventKind.ACTION
    addressed = mentioned or change.reading.all_in_groups or item.kind is EventKind.EDIT
    return replace(item, mentioned_us=mentioned, ignored=None if addressed else "not addressed to us")


def _echo(change: _Change, raw: object) -> InboundEvent:
    """What the business itself wrote in its phone app. Answering it would be answering ourselves."""
    message = Message.model_validate(raw)
    item = change.reading.item(EventKind.MESSAGE, message.id, message.timestamp)
    item = placed(replace(item, sender=Sender(message.to or "")), message)
    said = read_content(message)
    us = Sender(message.from_ or "", is_self=True)
    return replace(
        item,
        sender=us,
        text=said.text,
        message_type=said.message_type,
        attachments=said.attachments,
        ignored="written by us in the phone app",
    )


def _status(change: _Change, raw: object) -> InboundEvent:
    status = Status.model_validate(raw)
    known = _STATUSES.get(status.status)
    key = ":".join(filter(None, ("status", status.id, status.status, status.recipient_participant_id)))
    if known is None:
        return change.reading.unknown(key, f"unknown status: {status.status}")
    item = change.reading.item(EventKind.STATUS, key, status.timestamp, status.recipient_id or "")
    reason = words_of(status.errors[0]) if status.errors else None
    nonce = status.biz_opaque_callback_data
    closed = bool(status.errors) and status.errors[0].code == WINDOW_CLOSED
    return replace(
        item,
        sender=Sender(status.recipient_participant_id or status.recipient_id or ""),
        target_message_id=status.id,
        status=StatusUpdate(status.id, known, reason, nonce, ErrorClass.WINDOW_CLOSED if closed else None),
    )


def _renamed(change: _Change, raw: object) -> InboundEvent:
    update = UserIdUpdate.model_validate(raw)
    previous, current = update.user_id.previous or "", update.user_id.current or ""
    item = change.reading.item(EventKind.IDENTITY, f"identity:{previous}:{current}", update.timestamp)
    return replace(
        item,
        sender=Sender(update.wa_id or previous),
        ignored="identity: user_changed_user_id",
        metadata=_moved("user_changed_user_id", previous, current),
    )


def _digest(value: object) -> str:
    return digest(json.dumps(value, sort_keys=True).encode())
