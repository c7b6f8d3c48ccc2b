"""One Telegram update becomes one inbound item. Only a body that is no JSON object is refused as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from pydantic import ValidationError

from adapters.base import ChannelContext, ParsedWebhook, WebhookReply, WebhookRequest
from adapters.bots import OURSELVES, answers_bots, refused_as_bot
from adapters.foreign import decode_object, digest, instant
from adapters.platform.telegram.content import Ourselves, command_is_ours, mentions, read_content, spelled
from adapters.platform.telegram.payloads import Callback, Chat, MemberChange, Message, Reaction, User
from domain.message import EventKind, InboundEvent, ReplyAddress, Sender

_MESSAGES: Final = {
    "message": (EventKind.MESSAGE, None),
    "edited_message": (EventKind.EDIT, None),
    "channel_post": (EventKind.MESSAGE, "channel posts are not answered"),
    "edited_channel_post": (EventKind.EDIT, "channel posts are not answered"),
    "business_message": (EventKind.MESSAGE, "business chats are not answered"),
    "edited_business_message": (EventKind.EDIT, "business chats are not answered"),
    "guest_message": (EventKind.MESSAGE, "guest messages are not answered"),
}
_PASSING: Final = (
    "message_reaction_count", "business_connection", "deleted_business_messages", "inline_query",
    "chosen_inline_result", "shipping_query", "pre_checkout_query", "purchased_paid_media", "poll", "poll_answer",
    "chat_join_request", "chat_boost", "removed_chat_boost", "managed_bot", "subscription",
)  # fmt: skip
_SERVICE: Final = (
    "new_chat_", "left_chat_member", "group_chat_created", "supergroup_chat_created", "channel_chat_created",
    "delete_chat_photo", "message_auto_delete_timer_changed", "migrate_", "pinned_message", "forum_topic_",
    "general_forum_topic_", "video_chat_", "write_access_allowed", "proximity_alert_triggered", "boost_added",
    "chat_background_set", "chat_owner_", "giveaway_created", "giveaway_completed", "users_shared", "chat_shared",
    "connected_website", "successful_payment", "refunded_payment", "suggested_post_", "checklist_tasks_",
)  # fmt: skip
_STAND_INS: Final = frozenset({1087968824, 136817688, 777000})
"""Service accounts that stand for an anonymous administrator or a channel; `sender_chat` says for whom."""
_GROUPS: Final = frozenset({"group", "supergroup"})
_KNOWN_FIELDS: Final = frozenset(field.alias or name for name, field in Message.model_fields.items())


@dataclass(frozen=True, slots=True)
class _Update:
    request: WebhookRequest
    us: Ourselves
    all_in_groups: bool
    answers_bots: bool
    dedup_key: str

    def item(self, kind: EventKind, chat: Chat | None, at: float | None, number: int, **told: Any) -> InboundEvent:
        """Return an item with everything that all kinds share, and with what is `told` of this one.

        `number` breaks ties of a second, as ids do.
        """
        where = str(chat.id) if chat else ""
        moment = instant(at, self.request.received_at)
        shared: dict[str, Any] = {
            "dedup_key": self.dedup_key,
            "order_key": f"{max(int(moment.timestamp()), 0):012d}.{max(number, 0):020d}",
            "kind": kind,
            "session_key": where,
            "reply_to": ReplyAddress(chat=where),
            "sender": Sender(id=where),
            "message_id": str(number),
            "text": "",
            "occurred_at": moment,
            "is_group": chat is not None and chat.type in _GROUPS,
        }
        return InboundEvent(**(shared | told))


def parse_update(request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
    """Read an update. Raises PayloadError when the body is no JSON object."""
    raw = decode_object(request.body)
    number = raw.get("update_id")
    update = _Update(
        request=request,
        us=Ourselves.of(channel),
        all_in_groups=channel.configuration.get("groups") == "all",
        answers_bots=answers_bots(channel),
        dedup_key=f"u:{number}" if isinstance(number, int) else digest(request.body),
    )
    try:
        event = _read(update, raw)
        return ParsedWebhook(events=(event,), reply=_at_once(event))
    except ValidationError as error:
        where = ", ".join(".".join(map(str, one["loc"])) for one in error.errors()[:3])
        return ParsedWebhook(events=(_unknown(update, f"unreadable update, at: {where}"),))


def _at_once(event: InboundEvent) -> WebhookReply | None:
    """Stop a pressed button's spinner by the answer to its webhook: a call that costs no request and needs no success.

    https://core.telegram.org/bots/api#making-requests-when-getting-updates
    """
    press = event.metadata.get("callback_query_id")
    if press is None:
        return None
    body = json.dumps({"method": "answerCallbackQuery", "callback_query_id": press})
    return WebhookReply(body.encode(), "application/json")


def _read(update: _Update, raw: Mapping[str, object]) -> InboundEvent:
    for name in _MESSAGES.keys() & raw.keys():
        return _message(update, name, raw[name])
    for name, reader in _READERS.items():
        if name in raw:
            return reader(update, raw[name])
    passing = next((name for name in _PASSING if name in raw), None)
    if passing is not None:
        return replace(_unknown(update, ""), kind=EventKind.SYSTEM, ignored=f"{passing} updates are not used")
    names = ", ".join(sorted(raw.keys() - {"update_id"})) or "none"
    return _unknown(update, f"unknown kind of update: {names}"[:500])


def _unknown(update: _Update, reason: str) -> InboundEvent:
    return replace(update.item(EventKind.UNKNOWN, None, None, 0), text=reason)


def _sender(user: User | None, stand_in: Chat | None, us: Ourselves) -> Sender:
    if stand_in is not None and (user is None or user.id in _STAND_INS):
        return Sender(str(stand_in.id), stand_in.title, stand_in.username)
    if user is None:
        return Sender("")
    return Sender(str(user.id), user.name, user.username, is_bot=user.is_bot, is_self=user.id == us.id)


def _place(message: Message) -> dict[str, Any]:
    """Return where a message is: a forum's topic is a conversation of its own."""
    topic = str(message.message_thread_id) if message.is_topic_message and message.message_thread_id else None
    chat = str(message.chat.id)
    return {
        "session_key": f"{chat}:{topic}" if topic else chat,
        "reply_to": ReplyAddress(chat=chat, thread=topic, message=str(message.message_id)),
    }


def _message(update: _Update, name: str, raw: object) -> InboundEvent:
    kind, refusal = _MESSAGES[name]
    message = Message.model_validate(raw)
    fields = cast("dict[str, object]", raw).keys()
    edited = kind is EventKind.EDIT
    content = read_content(message, _unknown_fields(fields))
    item = update.item(
        kind,
        message.chat,
        message.edit_date if edited else message.date,
        message.message_id,
        **_place(message),
        sender=_sender(message.from_, message.sender_chat, update.us),
        text=content.text,
        message_type=content.message_type,
        attachments=content.attachments,
        target_message_id=str(message.message_id) if edited else None,
        mentioned_us=message.chat.type in _GROUPS and mentions(message, update.us),
        metadata=_metadata(message),
    )
    item = _as_command(item, message, update.us)
    if any(field.startswith(_SERVICE) for field in fields):
        return replace(item, kind=EventKind.SYSTEM, text="", ignored="a service message")
    ignored = refusal or _ignored(update, item, message)
    return item if ignored == item.ignored else replace(item, ignored=ignored)


def _unknown_fields(fields: Iterable[str]) -> list[str]:
    return [name for name in fields if name not in _KNOWN_FIELDS]


def _metadata(message: Message) -> dict[str, str]:
    kept = {
        "media_group_id": message.media_group_id,
        "answers_message_id": message.reply_to_message.message_id if message.reply_to_message else None,
    }
    return {name: str(value) for name, value in kept.items() if value is not None} | _moved(message)


def _moved(message: Message) -> dict[str, str]:
    """Say that a group has a new id: told twice, as its old self's last message and its new self's first."""
    old, new = message.chat.id, message.migrate_to_chat_id
    if message.migrate_from_chat_id is not None:
        old, new = message.migrate_from_chat_id, message.chat.id
    return {} if new is None else {"moved_from": str(old), "moved_to": str(new)}


def _as_command(item: InboundEvent, message: Message, us: Ourselves) -> InboundEvent:
    if item.kind is not EventKind.MESSAGE or not message.text or not message.entities:
        return item
    first = message.entities[0]
    if first.type != "bot_command" or first.offset != 0:
        return item
    command = spelled(first, message.text)
    name, at, _ = command.partition("@")
    if at and not command_is_ours(command, us):
        return replace(item, ignored="a command for another bot")
    return replace(item, kind=EventKind.COMMAND, text=name + message.text[len(command) :])


def _ignored(update: _Update, item: InboundEvent, message: Message) -> str | None:
    if message.via_bot is not None and message.via_bot.id == update.us.id:
        return OURSELVES
    if (refused := refused_as_bot(item.sender, answered=update.answers_bots)) is not None:
        return refused
    if item.ignored is not None or item.kind is EventKind.EDIT:
        return item.ignored
    if item.is_group and not item.mentioned_us and not update.all_in_groups:
        return "not addressed to us"
    return None


def _callback(update: _Update, raw: object) -> InboundEvent:
    """A pressed button says its label; it has no time of its own, and Telegram keeps it for 150 s only."""
    pressed = Callback.model_validate(raw)
    message = pressed.message
    chat = message.chat if message else Chat(id=pressed.from_.id)
    item = update.item(EventKind.ACTION, chat, None, 0, **(_place(message) if message else {}))
    rows = message.reply_markup.inline_keyboard if message and message.reply_markup else []
    labels = [button.text for row in rows for button in row if button.callback_data == pressed.data]
    return replace(
        item,
        sender=_sender(pressed.from_, None, update.us),
        message_id=f"callback:{pressed.id}",
        text=(labels[0] if labels else pressed.data) or "[button]",
        target_message_id=str(message.message_id) if message else None,
        mentioned_us=item.is_group,
        metadata={"callback_query_id": pressed.id, "value": pressed.data or ""},
    )


def _reaction(update: _Update, raw: object) -> InboundEvent:
    reaction = Reaction.model_validate(raw)
    item = update.item(EventKind.REACTION, reaction.chat, reaction.date, reaction.message_id)
    return replace(
        item,
        sender=_sender(reaction.user, reaction.actor_chat, update.us),
        text=" ".join(one.emoji or one.type for one in reaction.new_reaction),
        target_message_id=str(reaction.message_id),
    )


def _membership(update: _Update, raw: object) -> InboundEvent:
    change = MemberChange.model_validate(raw)
    item = update.item(EventKind.SYSTEM, change.chat, change.date, 0)
    status = change.new_chat_member.status if change.new_chat_member else ""
    return replace(
        item,
        sender=_sender(change.from_, None, update.us),
        text=status,
        ignored=f"membership: {status or 'changed'}",
        metadata={"membership": status},
    )


_READERS: Final[dict[str, Callable[[_Update, object], InboundEvent]]] = {
    "callback_query": _callback,
    "message_reaction": _reaction,
    "my_chat_member": _membership,
    "chat_member": _membership,
}
