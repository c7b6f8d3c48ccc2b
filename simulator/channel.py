"""One registered bot and the part of the world it can see: people, chats and messages. In memory; owned by state.py.

A channel is one bot account at one platform; chats of two channels never meet.
"""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from pydantic import InstanceOf

from simulator import names
from simulator.dice import DICE
from simulator.records import Chat, Credentials, Draft, Message, Options, Person, Platform
from simulator.stream import Stream

_DISCORD_EPOCH_MS: Final = 1_420_070_400_000


@dataclass(slots=True)
class Webhook:
    """Where and how updates are sent, as the bot's owner set it."""

    url: str | None = None
    secret: str = ""
    max_connections: int = 40
    allowed_updates: list[str] | None = None
    last_error: str | None = None
    last_error_at: float | None = None


@dataclass(slots=True, frozen=True)
class Bot:
    """Who the bot is at its platform."""

    user_id: str
    username: str
    title: str
    bot_id: str
    app_id: str
    team_id: str

    @classmethod
    def of(cls, platform: Platform, name: str, credentials: Credentials) -> Bot:
        """Make the identity from the registration."""
        username = f"{names.slug(name)}_bot"
        team = credentials.team_id or names.slack_id("T", name)
        if platform == "slack":
            user = names.slack_id("U", "bot", name)
            return cls(user, username, name, names.slack_id("B", name), names.slack_id("A", name), team)
        if platform == "whatsapp":
            return cls(names.phone_number(f"bot {name}"), username, name, credentials.phone_number_id, "", team)
        if platform == "mattermost":
            return cls(names.mattermost_id("bot", name), username, name, "", "", names.mattermost_id("team", name))
        if platform == "discord":
            own = names.discord_id("bot", name)
            return cls(own, username, name, "", own, names.discord_id("guild", name))
        number = credentials.bot_token.partition(":")[0]
        user = number if number.isdecimal() else names.telegram_user_id(f"bot {name}")
        return cls(user, username, name, "", "", "")


@dataclass(slots=True)
class Channel:
    """A bot account, its webhook and its world."""

    name: str
    platform: Platform
    credentials: Credentials
    options: Options
    bot: Bot
    webhook: Webhook = field(default_factory=Webhook)
    people: dict[str, Person] = field(default_factory=dict[str, Person])
    chats: dict[str, Chat] = field(default_factory=dict[str, Chat])
    messages: dict[str, dict[str, Message]] = field(default_factory=dict[str, dict[str, Message]])
    drafts: dict[str, Draft] = field(default_factory=dict[str, Draft])
    """By chat; never written down."""
    presses: set[str] = field(default_factory=set[str])
    """Ids of button presses that wait for an answer."""
    stream: InstanceOf[Stream] = field(default_factory=Stream)
    """What is told by sockets; never written down."""
    last_event: int = field(default_factory=lambda: DICE.randrange(10**8, 10**9))
    last_micros: int = 0

    @property
    def ids(self) -> names.Ids:
        """Return how this platform names things."""
        return names.IDS[self.platform]

    def person(self, name: str) -> Person:
        """Return the person, made at first use."""
        found = self.people.get(name)
        if found is None:
            found = self.people[name] = Person(name, self.ids.user(name))
        return found

    def person_by_id(self, user_id: str) -> Person | None:
        """Return who has this id."""
        return next((person for person in self.people.values() if person.user_id == user_id), None)

    def find_chat(self, reference: str) -> Chat | None:
        """Return the chat with this id or name."""
        found = self.chats.get(reference)
        return found or next((chat for chat in self.chats.values() if chat.name == reference), None)

    def private_chat(self, person: Person) -> Chat:
        """Return the chat of the bot and this person alone."""
        return self._chat(self.private_chat_id(person.name), person.name, "private")

    def private_chat_id(self, name: str) -> str:
        """Return the id of the private chat with someone, also before it exists."""
        return self.ids.private_chat(self.name, name)

    def group_chat(self, reference: str, kind: str | None) -> Chat:
        """Return the group with this name or id, made at first use."""
        found = self.find_chat(reference)
        if found is not None:
            return found
        kind = kind or self.ids.group_kind
        return self._chat(self.ids.group_chat(reference, kind), reference.removeprefix("#"), kind)

    def reached_chat(self, chat_id: str) -> Chat | None:
        """Return the chat that a bot's call names by id; in an open world it is made when it is not known."""
        found = self.chats.get(chat_id)
        if found is None and self.options.open_world:
            kind = "private" if self.ids.is_private(chat_id) else self.ids.group_kind
            found = self._chat(chat_id, chat_id, kind)
        return found

    def knows_message(self, chat_id: str, message_id: str) -> bool:
        """Return whether a bot may refer to the message."""
        return self.options.open_world or self.message(chat_id, message_id) is not None

    def _chat(self, chat_id: str, name: str, kind: str) -> Chat:
        found = self.chats.get(chat_id)
        if found is None:
            found = self.chats[chat_id] = Chat(chat_id, name, kind)
            self.messages[chat_id] = {}
        return found

    def message(self, chat_id: str, message_id: str) -> Message | None:
        """Return a message that still exists."""
        found = self.messages.get(chat_id, {}).get(message_id)
        return None if found is None or found.deleted else found

    def new_message_id(self, chat: Chat, at: float | None) -> str:
        """Return an id that nothing in the chat has: a count, the time (unique, rising), or opaque."""
        if self.ids.messages == "count":
            chat.last_id += 1
            return str(chat.last_id)
        if self.ids.messages == "time":
            return self.new_ts(chat, at)
        if self.ids.messages == "snowflake":
            self.last_micros = max(self.last_micros + 1, int((at or time.time()) * 1000) - _DISCORD_EPOCH_MS << 22)
            return str(self.last_micros)
        if self.platform == "mattermost":
            return names.mattermost_id("post", secrets.token_hex(16))
        return "wamid." + base64.b64encode(secrets.token_bytes(18)).decode()

    def time_of(self, message_id: str, at: float | None) -> float:
        """Return the time of a new message, which some ids are."""
        return float(message_id) if self.ids.messages == "time" else at or time.time()

    def new_ts(self, chat: Chat | None = None, at: float | None = None) -> str:
        """Return a Slack time stamp. One for a given time is unique in its chat, one for now also rises."""
        if at is None:
            micros = self.last_micros = max(self.last_micros + 1, int(time.time() * 1_000_000))
            return _ts(micros)
        micros = round(at * 1_000_000)
        taken = self.messages.get(chat.id, {}) if chat else {}
        while _ts(micros) in taken:
            micros += 1
        return _ts(micros)

    def new_event_number(self) -> int:
        """Return the next update's number; it starts anywhere, as the platform's does."""
        self.last_event += 1
        return self.last_event

    def forget(self) -> None:
        """Forget people, chats and messages; the registration, the webhook and the count of events stay."""
        self.people.clear()
        self.chats.clear()
        self.messages.clear()
        self.drafts.clear()
        self.presses.clear()


def _ts(micros: int) -> str:
    return f"{micros // 1_000_000}.{micros % 1_000_000:06}"
