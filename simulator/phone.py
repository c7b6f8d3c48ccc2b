"""What one person's phone shows: their chats with every message in order, edits applied (and what was said before), deletions
gone, threads in place, and what the bot is writing.

Pure reading; called by control.py. Ordered by message id or by
time; where the platform folds threads, replies stand under their root. A message is plain JSON: `kind` (text, image, audio,
video, document, sticker, location), `text` (or caption), `buttons` (`[{label, value, url}]`, menu lines too; pressed by POST
/_sim/say with kind "press", the message as target and a label or value as text), `files` (`[{id, name, mime, size, url}]`, the
bytes at `url`), `file` (the first of them), `location` (`{latitude, longitude, name?, address?}`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import cast

from simulator.channel import Channel
from simulator.files import phone_file
from simulator.records import Chat, Json, Message, Person


def view(channel: Channel, person: Person, chat: str | None = None) -> Json:
    """Return the screen as JSON; `chat` (id or name) limits it to one chat."""
    chats = [
        found
        for found in channel.chats.values()
        if person.name in found.members and (chat is None or chat in {found.id, found.name})
    ]
    return {
        "channel": channel.name,
        "platform": channel.platform,
        "as": person.name,
        "user_id": person.user_id,
        "bot": {"user_id": channel.bot.user_id, "name": channel.bot.title, "username": channel.bot.username},
        "chats": [_chat(channel, person, found) for found in chats],
    }


def as_text(screen: Json) -> str:
    """Return the screen as plain text, one line a message."""
    lines: list[str] = []
    for chat in cast("list[Json]", screen["chats"]):
        lines.append(f"── {chat['name']} ({chat['kind']})")
        lines += [_line(message) for message in cast("list[Json]", chat["messages"])]
        if chat["draft"] is not None:
            lines.append(f"(writing) {chat['draft']}")
    return "\n".join(lines) + "\n"


def _line(message: Json) -> str:
    indent = "    ↳ " if message["indent"] else ""
    edited = " (edited)" if message["edited"] else ""
    return f"{indent}{message['from']}: {_seen(message)}{edited}"


def _seen(message: Json) -> str:
    """Return the message in words: what is no text stands in brackets."""
    files, place = cast("list[Json]", message["files"]), cast("Json | None", message["location"])
    buttons = [f"[{one['label']}]" for one in cast("list[Json]", message["buttons"])]
    shown = [f"[{message['kind']}: {file['name']}]" for file in files]
    shown += [f"[location: {place['latitude']}, {place['longitude']}]"] if place else []
    return " ".join(filter(None, [*shown, str(message["text"]), *buttons]))


def _chat(channel: Channel, person: Person, chat: Chat) -> Json:
    shown = [message for message in channel.messages[chat.id].values() if not message.deleted]
    ordered = _threaded(in_order(channel, shown)) if channel.ids.threads_fold else in_order(channel, shown)
    return {
        "chat": chat.id,
        "name": channel.bot.title if chat.kind == "private" else chat.name,
        "kind": chat.kind,
        "members": chat.members,
        "messages": [_message(channel, person, message) for message in ordered],
        "draft": _draft(channel, chat),
    }


def _draft(channel: Channel, chat: Chat) -> str | None:
    """Return what the bot is seen writing at this moment."""
    found = channel.drafts.get(chat.id)
    return found.text if found is not None and time.time() < found.until else None


def in_order(channel: Channel, shown: list[Message]) -> list[Message]:
    """Return messages as the platform orders them: by number, else by time, and those of one time as they came."""
    numbered = channel.ids.messages == "count"
    return sorted(shown, key=lambda message: float(message.id) if numbered else message.at)


def _threaded(shown: list[Message]) -> Iterable[Message]:
    replies: dict[str, list[Message]] = {}
    roots: list[Message] = []
    present = {message.id for message in shown}
    for message in shown:
        if message.thread in {None, message.id} or message.thread not in present:
            roots.append(message)
        else:
            replies.setdefault(str(message.thread), []).append(message)
    for root in roots:
        yield root
        yield from replies.get(root.id, [])


def _message(channel: Channel, person: Person, message: Message) -> Json:
    files = [message.file] if message.file else [phone_file(file) for file in message.files]
    return {
        "id": message.id,
        "from": channel.bot.title if message.from_bot else message.author,
        "mine": not message.from_bot and message.author == person.name,
        "bot": message.from_bot,
        "kind": message.kind,
        "text": message.text,
        "file": files[0] if files else None,
        "files": files,
        "location": message.location,
        "source": message.source,
        "at": message.at,
        "thread": message.thread,
        "indent": channel.ids.threads_fold and message.thread not in {None, message.id},
        "reply_to": message.reply_to,
        "edited": message.edited_at is not None,
        "history": message.history,
        "entities": message.entities,
        "buttons": message.choices,
        "blocks": message.blocks,
        "reactions": [*message.reactions, *message.felt],
    }
