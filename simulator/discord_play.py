"""What people do in Discord: messages go to the gateway, commands and buttons to the interactions endpoint.

Interactions are signed with Ed25519, want an answer within 3 s and are never repeated (platforms.md §3.4 and §3.5); an
answer of type 4 is a message that everybody sees. Bodies after *Receiving and responding to interactions*.
"""

from __future__ import annotations

import secrets
import time

import orjson

from simulator.channel import Channel
from simulator.deliveries import About, new_delivery
from simulator.discord_content import pressed_data
from simulator.discord_keys import signature_headers
from simulator.discord_wire import in_guild, message_object, person_user
from simulator.markdown_text import visible
from simulator.play import Play
from simulator.records import Chat, Delivery, Json, Message
from simulator.state import World
from simulator.wish import Done, ImpossibleError, Say

_COMMAND, _COMPONENT = 2, 3


class DiscordPlay(Play):
    """How Discord acts."""

    ack_s = 3.0

    def reach(self, channel: Channel, say: Say) -> Say:
        # A bot that is not at the gateway hears nothing but commands and buttons.
        if say.kind == "message" and not channel.stream.used:
            if say.files:
                raise ImpossibleError("files come by the gateway only, and the bot is not there")
            return say.model_copy(update={"kind": "command", "text": f"/ask {say.text}"})
        return say

    def mention(self, channel: Channel, text: str) -> str:
        return f"<@{channel.bot.user_id}> {text}"

    def written(self, done: Done, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
        tell(done.channel, chat, "MESSAGE_CREATE", message)
        return []

    def edited(self, done: Done, message: Message, before: Json, event_id: str | None) -> list[Delivery]:
        tell(done.channel, done.chat, "MESSAGE_UPDATE", message)
        return []

    def deleted(self, done: Done, message: Message, event_id: str | None) -> list[Delivery]:
        gone = {"id": message.id, "channel_id": done.chat.id} | in_guild(done.channel, done.chat)
        done.channel.stream.emit("MESSAGE_DELETE", gone, done.chat.id)
        return []

    def reacted(self, done: Done, message: Message, emoji: str) -> list[Delivery]:
        given: Json = {"user_id": done.person.user_id, "channel_id": done.chat.id, "message_id": message.id}
        given |= {"emoji": {"id": None, "name": emoji}} | in_guild(done.channel, done.chat)
        done.channel.stream.emit("MESSAGE_REACTION_ADD", given, done.chat.id)
        return []

    def pressed(self, done: Done, message: Message, say: Say) -> list[Delivery]:
        data = pressed_data(message, say.text) | (say.payload or {})
        about: Json = {"message": message_object(done.channel, done.chat, message)}
        return [_interaction(done, _COMPONENT, data, about)]

    def command(self, done: Done, text: str) -> list[Delivery] | None:
        name, _, rest = text.removeprefix("/").partition(" ")
        data: Json = {"id": "1", "name": name, "type": 1}
        if rest:
            data["options"] = [{"name": "question", "type": 3, "value": rest}]
        return [_interaction(done, _COMMAND, data, {})]

    def raw(self, done: Done, payload: Json, event_id: str | None) -> list[Delivery]:
        data = payload.get("d")
        if isinstance(data, dict):
            done.channel.stream.emit(str(payload.get("t")), data, done.chat.id)  # pyright: ignore[reportUnknownArgumentType]
            return []
        about = About("raw", event_id or secrets.token_hex(8), done.chat.id)
        return [new_delivery(done.channel, about, orjson.dumps(payload), retry=False)]

    def headers(
        self, channel: Channel, delivery: Delivery, body: bytes, again: tuple[int, str | None]
    ) -> dict[str, str]:
        proof = signature_headers(channel.credentials.bot_token, str(int(time.time())), body)
        return {"User-Agent": "Discord-Interactions/1.0 (+https://discord.com)"} | proof

    def answered(self, world: World, channel: Channel, delivery: Delivery, answer: bytes) -> None:
        """Show an answer of type 4 where the command was given."""
        chat = channel.chats.get(delivery.chat or "")
        try:
            body: object = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return
        if chat is None or not isinstance(body, dict) or body.get("type") != 4:  # pyright: ignore[reportUnknownMemberType]
            return
        content = str((body.get("data") or {}).get("content") or "")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        message = Message(
            chat=chat.id,
            id=channel.new_message_id(chat, None),
            author=channel.bot.title,
            from_bot=True,
            text=visible(content),
            source=content,
            at=time.time(),
            subtype="command_result",
        )
        world.save_message(channel, message)
        tell(channel, chat, "MESSAGE_CREATE", message)


def tell(channel: Channel, chat: Chat, event: str, message: Message, nonce: str | None = None) -> None:
    """Tell the gateway of a message; its own nonce comes back with it."""
    found = message_object(channel, chat, message)
    channel.stream.emit(event, found if nonce is None else found | {"nonce": nonce}, chat.id)


def _interaction(done: Done, kind: int, data: Json, more: Json) -> Delivery:
    channel = done.channel
    made = channel.new_message_id(done.chat, None)
    body: Json = {
        "id": made,
        "application_id": channel.bot.app_id,
        "type": kind,
        "token": secrets.token_urlsafe(32),
        "version": 1,
        "channel_id": done.chat.id,
        "data": data,
    }
    user = person_user(done.person)
    if done.chat.kind == "private":
        body |= {"user": user, "context": 1}
    else:
        body |= in_guild(channel, done.chat) | {"member": {"user": user, "nick": None, "roles": []}, "context": 0}
    about = About("command" if kind == _COMMAND else "component", made, done.chat.id)
    return new_delivery(channel, about, orjson.dumps(body | more), retry=False)
