"""Telegram's objects as JSON: User, Chat, Message (https://core.telegram.org/bots/api#available-types, platforms.md §2.2).

Called by telegram.py for answers and by telegram_updates.py for updates. Pure reading of the channel's state.
"""

from __future__ import annotations

import re
from typing import Final

from simulator.channel import Channel
from simulator.file_wire import telegram_content
from simulator.records import Chat, Json, Message, Person
from simulator.telegram_html import utf16_length

_MARKED: Final = re.compile(
    r"(?P<bot_command>(?<!\S)/[A-Za-z0-9_]{1,64}(?:@\w+)?)|(?P<mention>(?<!\w)@\w{4,32})|(?P<url>https?://\S+)"
)


def bot_user(channel: Channel) -> Json:
    """Return the bot as a User."""
    return {
        "id": int(channel.bot.user_id),
        "is_bot": True,
        "first_name": channel.bot.title,
        "username": channel.bot.username,
    }


def person_user(person: Person) -> Json:
    """Return a person as a User."""
    return {
        "id": int(person.user_id),
        "is_bot": person.is_bot,
        "first_name": person.name,
        "username": person.name,
        "language_code": "en",
    }


def chat_object(chat: Chat) -> Json:
    """Return the Chat; a forum is one in which topics were seen."""
    if chat.kind == "private":
        return {"id": int(chat.id), "type": "private", "first_name": chat.name, "username": chat.name}
    found: Json = {"id": int(chat.id), "type": chat.kind, "title": chat.name}
    if chat.threads:
        found["is_forum"] = True
    return found


def text_entities(text: str) -> list[Json]:
    """Return the entities that clients find by themselves in what a person types."""
    return [
        {
            "type": str(found.lastgroup),
            "offset": utf16_length(text[: found.start()]),
            "length": utf16_length(found.group()),
        }
        for found in _MARKED.finditer(text)
    ]


def message_object(channel: Channel, message: Message, *, with_reply: bool = True) -> Json:
    """Return the Message; the one it replies to is included once, as the platform does."""
    person = channel.people.get(message.author)
    author = bot_user(channel) if message.from_bot or person is None else person_user(person)
    chat = channel.chats[message.chat]
    found: Json = {
        "message_id": int(message.id),
        "from": author,
        "chat": chat_object(chat),
        "date": int(message.at),
    } | _said(message)
    if message.edited_at is not None:
        found["edit_date"] = int(message.edited_at)
    if message.thread is not None:
        found |= {"message_thread_id": int(message.thread), "is_topic_message": True}
    if message.buttons is not None:
        found["reply_markup"] = {"inline_keyboard": message.buttons}
    replied = channel.message(chat.id, message.reply_to) if message.reply_to else None
    if replied is not None and with_reply:
        found["reply_to_message"] = message_object(channel, replied, with_reply=False)
    return found


def _said(message: Message) -> Json:
    """Return the fields of a Message that say what it holds."""
    text, entities, file, location = message.text, message.entities, message.file, message.location
    if location is not None:
        point = {"latitude": location["latitude"], "longitude": location["longitude"]}
        if "name" not in location:
            return {"location": point}
        return {
            "location": point,
            "venue": {"location": point, "title": location["name"], "address": location["address"]},
        }
    if file is None:
        return telegram_content(message)
    held: Json = {"file_id": file["id"], "file_unique_id": str(file["id"])[-12:], "file_size": file["size"]}
    name = str(file["field"])
    if name == "photo":
        found: Json = {"photo": [held | {"width": 1, "height": 1}]}
    else:
        found = {name: held | {"file_name": file["name"], "mime_type": file["mime"]}}
    return found | ({"caption": text} if text else {}) | ({"caption_entities": entities} if entities else {})
