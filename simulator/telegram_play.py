"""Telegram's play: thin, its updates are made in telegram_updates.py.

Each webhook repeats the secret given to setWebhook in a header (https://core.telegram.org/bots/api#setwebhook,
platforms.md §2.3). People's deletions make no update, and commands are ordinary messages.
"""

from __future__ import annotations

import orjson

from simulator import telegram_updates
from simulator.channel import Channel
from simulator.play import Play, Texts
from simulator.records import Chat, Delivery, Json, Message
from simulator.wish import Done, ImpossibleError, Say


class TelegramPlay(Play):
    """How Telegram acts. An album is several messages."""

    files_each = 1

    def mention(self, channel: Channel, text: str) -> str:
        return telegram_updates.mention(channel, text)

    def texts(self, text: str) -> Texts:
        return Texts(text, text, telegram_updates.entities(text))

    def written(self, done: Done, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
        return telegram_updates.written(done.channel, chat, message, event_id)

    def edited(self, done: Done, message: Message, before: Json, event_id: str | None) -> list[Delivery]:
        return telegram_updates.edited(done.channel, done.chat, message, event_id)

    def reacted(self, done: Done, message: Message, emoji: str) -> list[Delivery]:
        return telegram_updates.reacted(done.channel, done.chat, done.person, message, emoji)

    def pressed(self, done: Done, message: Message, say: Say) -> list[Delivery]:
        return telegram_updates.pressed(done.channel, done.chat, done.person, message, say.text)

    def told(self, channel: Channel, delivery: Delivery, body: bytes) -> tuple[str, Json] | None:
        # Without a webhook, updates wait for whoever polls (telegram_polls.py).
        return ("update", orjson.loads(body)) if channel.webhook.url is None else None

    def upgraded(self, done: Done) -> list[Delivery]:
        channel, old = done.channel, done.chat
        if old.kind != "group":
            raise ImpossibleError("only a group becomes a supergroup")
        name, old.name = old.name, f"{old.name} (before the upgrade)"
        new = channel.group_chat(name, "supergroup")
        new.members, old.moved_to = list(old.members), new.id
        for chat in (old, new):
            done.world.save_chat(channel, chat)
        done.chat = new
        return telegram_updates.upgraded(channel, old, new, done.person)

    def raw(self, done: Done, payload: Json, event_id: str | None) -> list[Delivery]:
        found: list[Delivery] = []
        for kind, content in payload.items():
            if not isinstance(content, dict):
                raise ImpossibleError("a raw update is {kind: {…}}")
            found += telegram_updates.raw(done.channel, done.chat, kind, content, event_id)  # pyright: ignore[reportUnknownArgumentType]
        return found

    def headers(
        self, channel: Channel, delivery: Delivery, body: bytes, again: tuple[int, str | None]
    ) -> dict[str, str]:
        secret = channel.webhook.secret
        return {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
