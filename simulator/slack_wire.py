"""Slack's objects as JSON: messages as history shows them and as events carry them; users; conversations.

https://docs.slack.dev/reference/objects and https://docs.slack.dev/reference/events/message; platforms.md §4.1, §4.2. Called by
slack.py for answers and by slack_events.py for events. Pure reading of the channel's state.
"""

from __future__ import annotations

from typing import Final

from simulator.channel import Channel
from simulator.file_wire import slack_file
from simulator.records import Chat, Json, Message, Person
from simulator.slack_files import file_object

_CHANNEL_TYPE: Final = {"private": "im", "mpim": "mpim", "group": "group"}


def channel_type(chat: Chat) -> str:
    """Return what events call the kind of conversation."""
    return _CHANNEL_TYPE.get(chat.kind, "channel")


def message_object(channel: Channel, message: Message, *, metadata: bool = True) -> Json:
    """Return the message; a bot's own carries `bot_id` and `app_id`."""
    found: Json = {"type": "message", "text": message.source, "ts": message.id, "team": channel.bot.team_id}
    if message.subtype is not None:
        found["subtype"] = message.subtype
    if message.from_bot:
        found |= {"user": channel.bot.user_id, "bot_id": channel.bot.bot_id, "app_id": channel.bot.app_id}
        found["bot_profile"] = {
            "id": channel.bot.bot_id,
            "app_id": channel.bot.app_id,
            "name": channel.bot.title,
            "team_id": channel.bot.team_id,
        }
    else:
        found |= _author(channel, message)
    if message.file is not None:
        found["files"] = [file_object(message.file)]
    if message.files:
        found |= {"files": [slack_file(channel, file) for file in message.files], "upload": False}
        found.setdefault("subtype", "file_share")
    if message.blocks is not None:
        found["blocks"] = message.blocks
    if message.thread is not None:
        found["thread_ts"] = message.thread
        root = channel.message(message.chat, message.thread)
        if root is not None and message.thread != message.id:
            found["parent_user_id"] = _user_id(channel, root)
    if message.edited_at is not None:
        found["edited"] = {"user": _user_id(channel, message), "ts": f"{message.edited_at:.6f}"}
    if message.metadata is not None and metadata:
        found["metadata"] = message.metadata
    return found


def root_object(channel: Channel, message: Message, *, metadata: bool) -> Json:
    """Return the message as history shows it: a thread's root counts its replies."""
    found = message_object(channel, message, metadata=metadata)
    replies = [reply for reply in channel.messages[message.chat].values() if _in_thread(reply, message.id)]
    if replies:
        found |= {"thread_ts": message.id, "reply_count": len(replies), "latest_reply": replies[-1].id}
    return found


def user_object(channel: Channel, person: Person) -> Json:
    """Return the user."""
    return {
        "id": person.user_id,
        "team_id": channel.bot.team_id,
        "name": person.name,
        "real_name": person.name,
        "is_bot": person.is_bot,
        "deleted": False,
        "profile": {"real_name": person.name, "display_name": person.name},
    }


def _in_thread(message: Message, root: str) -> bool:
    return message.thread == root and message.id != root and not message.deleted


def _author(channel: Channel, message: Message) -> Json:
    person = channel.person(message.author)
    if message.subtype == "bot_message":
        return {"bot_id": "B" + person.user_id[1:], "username": person.name}
    found: Json = {"user": person.user_id}
    if person.is_bot:
        found["bot_id"] = "B" + person.user_id[1:]
    return found


def _user_id(channel: Channel, message: Message) -> str:
    return channel.bot.user_id if message.from_bot else channel.person(message.author).user_id
