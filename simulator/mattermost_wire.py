"""Mattermost's post as JSON (`model.Post` of github.com/mattermost/mattermost; platforms.md §5.3). Pure reading."""

from __future__ import annotations

from simulator.channel import Channel
from simulator.file_wire import mattermost_info
from simulator.mattermost_content import info_object
from simulator.records import Json, Message


def post_object(channel: Channel, message: Message) -> Json:
    """Return the post; a bot's own says so in its props."""
    props: Json = dict(message.metadata or {})
    author = channel.bot.user_id
    if message.from_bot:
        props["from_bot"] = "true"
    else:
        person = channel.person(message.author)
        author = person.user_id
        if person.is_bot:
            props["from_bot"] = "true"
    files = [info_object(message.file)] if message.file else []
    files += [mattermost_info(message, file) for file in message.files]
    edited_ms = int((message.edited_at or 0) * 1000)
    created_ms = int(message.at * 1000)
    return {
        "id": message.id,
        "create_at": created_ms,
        "update_at": max(edited_ms, created_ms),
        "edit_at": edited_ms,
        "delete_at": 1 if message.deleted else 0,
        "user_id": author,
        "channel_id": message.chat,
        "root_id": message.thread or "",
        "message": message.source,
        "type": "",
        "props": props,
        "pending_post_id": "",
        "file_ids": [file["id"] for file in files],
        "metadata": {"files": files} if files else {},
    }
