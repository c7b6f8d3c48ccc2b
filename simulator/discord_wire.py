"""Discord's objects as JSON: users and messages (*Message resource*, *User resource*; platforms.md §3.3). Pure reading."""

from __future__ import annotations

from datetime import UTC, datetime

from simulator.channel import Channel
from simulator.file_wire import discord_attachment
from simulator.names import discord_id
from simulator.records import Chat, Json, Message, Person


def bot_user(channel: Channel) -> Json:
    """Return the bot."""
    return {"id": channel.bot.user_id, "username": channel.bot.username, "global_name": None, "bot": True}


def person_user(person: Person) -> Json:
    """Return a person."""
    found: Json = {"id": person.user_id, "username": person.name, "global_name": person.name}
    return found | {"bot": True} if person.is_bot else found


def message_object(channel: Channel, chat: Chat, message: Message) -> Json:
    """Return the message; one of a server names it."""
    author = bot_user(channel) if message.from_bot else person_user(channel.person(message.author))
    ours = f"<@{channel.bot.user_id}>" in message.source
    found: Json = {
        "id": message.id,
        "channel_id": chat.id,
        "author": author,
        "content": message.source,
        "timestamp": _iso(message.at),
        "edited_timestamp": None if message.edited_at is None else _iso(message.edited_at),
        "tts": False,
        "mention_everyone": False,
        "mentions": [bot_user(channel)] if ours else [],
        "mention_roles": [],
        "attachments": [
            *([_attachment(message.file)] if message.file else []),
            *(discord_attachment(channel, file) for file in message.files),
        ],
        "embeds": [],
        "pinned": False,
        "type": 20 if message.subtype == "command_result" else 19 if message.reply_to else 0,
        "components": message.buttons or [],
    }
    return found | in_guild(channel, chat) | _reference(channel, chat, message)


def in_guild(channel: Channel, chat: Chat) -> Json:
    """Return the server of a chat; `Berlin/help` is a channel of another server than `help`."""
    if chat.kind == "private":
        return {}
    server, slash, _ = chat.name.rpartition("/")
    return {"guild_id": discord_id("guild", channel.name, server) if slash else channel.bot.team_id}


def shard_of(guild: object, shards: int) -> int:
    """Return which connection of so many hears of a server; direct chats come by the first (*Sharding*)."""
    return (int(guild) >> 22) % shards if isinstance(guild, str) else 0


def _attachment(file: Json) -> Json:
    named = {"id": file["id"], "filename": file["name"], "content_type": file["mime"], "size": file["size"]}
    return named | {"url": file["url"], "proxy_url": file["url"]}


def _reference(channel: Channel, chat: Chat, message: Message) -> Json:
    if message.reply_to is None:
        return {}
    replied = channel.message(chat.id, message.reply_to)
    inner: Json | None = None
    if replied is not None:
        author = bot_user(channel) if replied.from_bot else person_user(channel.person(replied.author))
        inner = {"id": replied.id, "author": author, "content": replied.source}
    reference = {"type": 0, "message_id": message.reply_to, "channel_id": chat.id}
    return {"message_reference": reference, "referenced_message": inner}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
