"""What people do in Telegram, as updates on their way to the bot (https://core.telegram.org/bots/api#update).

platforms.md §2.1 to §2.3: new and edited messages of a chat share one queue; presses (per user) and reactions (per chat) ride
in queues of their own; presses live 150 s, the rest 24 h. People's deletions make no update. Called by people.py.
"""

from __future__ import annotations

import base64
import time
import uuid
from typing import Final

import orjson

from simulator.channel import Channel
from simulator.records import Chat, Delivery, Json, Message, Person
from simulator.schedule import PRESS_LIFE_S, UPDATE_LIFE_S
from simulator.telegram_wire import chat_object, message_object, person_user, text_entities

_NOT_BY_DEFAULT: Final = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


def written(channel: Channel, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
    """Return the update of a new message; none where privacy mode hides it from the bot."""
    if channel.options.privacy_mode and chat.kind != "private" and not _speaks_to_bot(channel, message):
        return []
    return _update(channel, chat, "message", message_object(channel, message), about=message.id, event_id=event_id)


def edited(channel: Channel, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
    """Return the update of an edit."""
    return _update(
        channel, chat, "edited_message", message_object(channel, message), about=message.id, event_id=event_id
    )


def pressed(channel: Channel, chat: Chat, person: Person, message: Message, data: str) -> list[Delivery]:
    """Return the update of a pressed button. `data` is the button's callback_data."""
    press = str(uuid.uuid4().int % 10**18)
    channel.presses.add(press)
    query: Json = {
        "id": press,
        "from": person_user(person),
        "message": message_object(channel, message),
        "chat_instance": str(abs(hash(chat.id))),
        "data": data,
    }
    found = _update(channel, chat, "callback_query", query, about=message.id)
    for delivery in found:
        delivery.queue, delivery.lifetime_s = f"press {person.user_id}", PRESS_LIFE_S
    return found


def reacted(channel: Channel, chat: Chat, person: Person, message: Message, emoji: str) -> list[Delivery]:
    """Return the update of a reaction, where the bot asked for those."""
    change: Json = {
        "chat": chat_object(chat),
        "message_id": int(message.id),
        "user": person_user(person),
        "date": int(time.time()),
        "old_reaction": [],
        "new_reaction": [{"type": "emoji", "emoji": emoji}] if emoji else [],
    }
    found = _update(channel, chat, "message_reaction", change, about=message.id)
    for delivery in found:
        delivery.queue = f"reaction {chat.id}"
    return found


def upgraded(channel: Channel, old: Chat, new: Chat, person: Person) -> list[Delivery]:
    """Return the two service messages of a group that became a supergroup: the last of the one, the first of the other."""
    found: list[Delivery] = []
    for chat, told in ((old, {"migrate_to_chat_id": int(new.id)}), (new, {"migrate_from_chat_id": int(old.id)})):
        service: Json = {
            "message_id": int(channel.new_message_id(chat, None)),
            "from": person_user(person),
            "chat": chat_object(chat),
            "date": int(time.time()),
        }
        found += _update(channel, chat, "message", service | told, about=None)
    return found


def raw(channel: Channel, chat: Chat, kind: str, payload: Json, event_id: str | None) -> list[Delivery]:
    """Return an update with this content of this kind, known or not."""
    return _update(channel, chat, kind, payload, about=None, event_id=event_id)


def mention(channel: Channel, text: str) -> str:
    """Return the text addressed to the bot."""
    return f"@{channel.bot.username} {text}"


def entities(text: str) -> list[Json]:
    """Return what a client marks in a typed text."""
    return text_entities(text)


def _speaks_to_bot(channel: Channel, message: Message) -> bool:
    """https://core.telegram.org/bots/features#privacy-mode: commands, mentions, replies to the bot."""
    replied = channel.message(message.chat, message.reply_to) if message.reply_to else None
    return (
        message.text.startswith("/")
        or f"@{channel.bot.username}" in message.text
        or (replied is not None and replied.from_bot)
    )


def _update(
    channel: Channel, chat: Chat, kind: str, content: Json, *, about: str | None, event_id: str | None = None
) -> list[Delivery]:
    allowed = channel.webhook.allowed_updates
    if kind in _NOT_BY_DEFAULT if allowed is None else kind not in allowed:
        return []
    number = int(event_id) if event_id else channel.new_event_number()
    body = orjson.dumps({"update_id": number, kind: content})
    return [
        Delivery(
            id=uuid.uuid4().hex,
            channel=channel.name,
            kind=kind,
            event_id=str(number),
            chat=chat.id,
            message_id=about,
            body=base64.b64encode(body).decode(),
            content_type="application/json",
            queue=f"chat {chat.id}",
            copies=1,
            retry=True,
            created_at=time.time(),
            lifetime_s=UPDATE_LIFE_S,
        )
    ]
