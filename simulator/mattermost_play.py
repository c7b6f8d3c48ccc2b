"""What people do in Mattermost, as outgoing webhooks and slash commands (platforms.md §5.1 and §5.2).

Outgoing webhooks fire for posts in public channels only, never for edits, deletions, reactions or direct chats, and are
never repeated; the token stands in the body. Everything is told by the socket as well, to whoever listens.
Bodies after `model.OutgoingWebhookPayload` of github.com/mattermost/mattermost.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlencode

import orjson

from simulator import names
from simulator.channel import Channel
from simulator.deliveries import About, new_delivery
from simulator.mattermost_content import pressed_action
from simulator.mattermost_wire import post_object
from simulator.play import Play
from simulator.records import Chat, Credentials, Delivery, Json, Message
from simulator.wish import Done, ImpossibleError, Say

PUBLIC = "town-square"


class MattermostPlay(Play):
    """How Mattermost acts."""

    ack_s = 30.0

    def secret(self, given: Credentials) -> str:
        return given.webhook_token

    def reach(self, channel: Channel, say: Say) -> Say:
        # A bot without a socket hears nothing of direct chats; people write where its webhook listens.
        if say.chat is None and say.kind == "message" and not channel.stream.used:
            return say.model_copy(update={"chat": PUBLIC})
        return say

    def written(self, done: Done, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
        return posted(done.channel, chat, message)

    def edited(self, done: Done, message: Message, before: Json, event_id: str | None) -> list[Delivery]:
        tell(done.channel, done.chat, "post_edited", message)
        return []

    def deleted(self, done: Done, message: Message, event_id: str | None) -> list[Delivery]:
        tell(done.channel, done.chat, "post_deleted", message)
        return []

    def reacted(self, done: Done, message: Message, emoji: str) -> list[Delivery]:
        reaction = {
            "user_id": done.person.user_id,
            "post_id": message.id,
            "emoji_name": emoji.strip(":"),
            "create_at": 0,
        }
        data: Json = {"reaction": orjson.dumps(reaction).decode()}
        done.channel.stream.emit("reaction_added", data, done.chat.id)
        return []

    def pressed(self, done: Done, message: Message, say: Say) -> list[Delivery]:
        """The server itself posts to the address that the action names, and passes its context on."""
        found = pressed_action(message, say.text)
        if found is None:
            raise ImpossibleError(f"no button of this message gives {say.text!r}")
        url, context = found
        trigger, channel = secrets.token_hex(16), done.channel
        direct = done.chat.kind == "private"
        body: Json = {
            "user_id": done.person.user_id,
            "user_name": done.person.name,
            "channel_id": done.chat.id,
            "channel_name": f"{channel.bot.user_id}__{done.person.user_id}" if direct else done.chat.name,
            "team_id": channel.bot.team_id,
            "team_domain": "simulated",
            "post_id": message.id,
            "trigger_id": trigger,
            "type": "select" if "selected_option" in context else "button",
            "data_source": "",
            "context": context | (say.payload or {}),
        }
        delivery = new_delivery(
            channel, About("action", trigger, done.chat.id, message.id), orjson.dumps(body), retry=False
        )
        delivery.url = url
        return [delivery]

    def command(self, done: Done, text: str) -> list[Delivery] | None:
        name, _, rest = text.partition(" ")
        direct = done.chat.kind == "private"
        trigger = secrets.token_hex(16)
        form = {
            "token": done.channel.credentials.command_token,
            "team_id": done.channel.bot.team_id,
            "team_domain": "simulated",
            "channel_id": done.chat.id,
            "channel_name": f"{done.channel.bot.user_id}__{done.person.user_id}" if direct else done.chat.name,
            "user_id": done.person.user_id,
            "user_name": done.person.name,
            "command": name,
            "text": rest,
            "trigger_id": trigger,
            "response_url": f"{done.origin}/hooks/commands/{trigger}",
        }
        about = About("command", trigger, done.chat.id)
        content_type = "application/x-www-form-urlencoded"
        return [new_delivery(done.channel, about, urlencode(form).encode(), content_type=content_type, retry=False)]

    def raw(self, done: Done, payload: Json, event_id: str | None) -> list[Delivery]:
        about = About("raw", event_id or secrets.token_hex(8), done.chat.id)
        return [new_delivery(done.channel, about, orjson.dumps(payload), retry=False)]

    def headers(
        self, channel: Channel, delivery: Delivery, body: bytes, again: tuple[int, str | None]
    ) -> dict[str, str]:
        if delivery.kind == "command":
            return {"Authorization": f"Token {channel.credentials.command_token}", "Accept": "application/json"}
        return {"Accept": "application/json"}

    def seal(self, channel: Channel, body: bytes) -> bytes:
        """Put the webhook's token into a JSON body that has none."""
        try:
            fields: object = orjson.loads(body)
        except orjson.JSONDecodeError:
            return body
        if not isinstance(fields, dict) or "token" in fields or "context" in fields:
            return body
        return orjson.dumps({"token": channel.webhook.secret} | fields)


def posted(channel: Channel, chat: Chat, message: Message) -> list[Delivery]:
    """Tell of a new post: by the socket, and by the outgoing webhook where the channel is a public one."""
    tell(channel, chat, "posted", message)
    if chat.kind != "channel" or channel.webhook.url is None:
        return []
    post = post_object(channel, message)
    body: Json = {
        "team_id": channel.bot.team_id,
        "team_domain": "simulated",
        "channel_id": chat.id,
        "channel_name": chat.name,
        "timestamp": post["create_at"],
        "user_id": post["user_id"],
        "user_name": channel.bot.username if message.from_bot else message.author,
        "post_id": message.id,
        "text": message.source,
        "trigger_word": "",
        "file_ids": ",".join(file.id for file in message.files),
    }
    about = About("posted", message.id, chat.id, message.id)
    return [new_delivery(channel, about, orjson.dumps(body), retry=False)]


def tell(channel: Channel, chat: Chat, event: str, message: Message) -> None:
    """Tell the socket of a post; the post is JSON in a string, and so is the list of who is mentioned."""
    data: Json = {"post": orjson.dumps(post_object(channel, message)).decode()}
    if event == "posted":
        author = channel.bot.username if message.from_bot else message.author
        data |= {
            "channel_type": {"private": "D", "channel": "O"}.get(chat.kind, "P"),
            "channel_name": chat.name,
            "sender_name": f"@{names.slug(author)}",
            "team_id": channel.bot.team_id,
        }
        if f"@{channel.bot.username}" in message.source:
            data["mentions"] = orjson.dumps([channel.bot.user_id]).decode()
    channel.stream.emit(event, data, chat.id)
