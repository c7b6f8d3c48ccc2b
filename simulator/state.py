"""All that the simulator knows: its channels and the logs of what happened. The single owner of memory and state file.

Changed only through the methods here, which also write the journal and wake who waits. Called by every other part.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from simulator.bot_files import BotFiles
from simulator.channel import Bot, Channel
from simulator.journal import Journal
from simulator.log import Changes, Log
from simulator.records import (
    Attempt,
    Call,
    Chat,
    Credentials,
    Delivery,
    Json,
    Message,
    Options,
    Person,
    Platform,
    Received,
)

_PEOPLE = TypeAdapter(Person)
_CHATS = TypeAdapter(Chat)
_MESSAGES = TypeAdapter(Message)
_RECEIVED = TypeAdapter(Received)
_CALLS = TypeAdapter(Call)
_ATTEMPTS = TypeAdapter(Attempt)
_DELIVERIES = TypeAdapter(Delivery)
_CHANNELS = TypeAdapter(Channel)


class UnknownChannelError(LookupError):
    """Nothing is registered under this name or token."""


class World:
    """The simulated outside."""

    def __init__(self, state_file: Path | None = None) -> None:
        self.changes = Changes()
        self.channels: dict[str, Channel] = {}
        self.received: Log[Received] = Log(self.changes)
        self.calls: Log[Call] = Log(self.changes)
        self.attempts: Log[Attempt] = Log(self.changes)
        self.pending: dict[str, Delivery] = {}
        self.files = BotFiles()
        self._tokens: dict[tuple[str, str], Channel] = {}
        self._journal = Journal(state_file)
        self._load()

    # Channels

    def register(self, platform: Platform, name: str, credentials: Credentials, options: Options) -> Channel:
        """Add or change a channel. Idempotent by `name`: chats and messages of a known one stay."""
        channel = self.channels.get(name)
        bot = Bot.of(platform, name, credentials)
        if channel is None or channel.platform != platform:
            channel = Channel(name, platform, credentials, options, bot)
        channel.credentials, channel.options, channel.bot = credentials, options, bot
        self._keep_channel(channel)
        self.save_channel(channel)
        return channel

    def by_token(self, platform: str, token: str) -> Channel | None:
        """Return the channel whose bot has this token."""
        return self._tokens.get((platform, token))

    def find_channel(self, name: str | None, token: str | None = None, platform: str | None = None) -> Channel:
        """Return a channel by name, by token, or the first of a platform. Raises UnknownChannelError."""
        for channel in self.channels.values():
            wrong = (
                (name is not None and channel.name != name)
                or (token is not None and channel.credentials.bot_token != token)
                or (platform is not None and channel.platform != platform)
            )
            if not wrong:
                return channel
        raise UnknownChannelError(f"no channel is registered for name={name!r} platform={platform!r}")

    def save_channel(self, channel: Channel) -> None:
        """Write the registration and the webhook's settings."""
        self._journal.write("channel", channel.name, _registration(channel))
        self.changes.bump()

    # People, chats, messages

    def save_person(self, channel: Channel, person: Person) -> None:
        """Write a person."""
        self._journal.write("person", channel.name, person)
        self.changes.bump()

    def save_chat(self, channel: Channel, chat: Chat) -> None:
        """Write a chat without its messages."""
        self._journal.write("chat", channel.name, chat)
        self.changes.bump()

    def join(self, channel: Channel, chat: Chat, person: Person) -> None:
        """Make the person see the chat."""
        if person.name not in chat.members:
            chat.members.append(person.name)
            self.save_person(channel, person)
            self.save_chat(channel, chat)

    def save_message(self, channel: Channel, message: Message) -> None:
        """Keep a new or changed message; a thread becomes known by its first message."""
        channel.messages[message.chat][message.id] = message
        chat = channel.chats[message.chat]
        if message.thread is not None and message.thread not in chat.threads:
            chat.threads.append(message.thread)
            self._journal.write("chat", channel.name, chat)
        self._journal.write("message", channel.name, message)
        self.changes.bump()

    # What happened

    def note_received(self, channel: Channel, kind: str, message: Message, *, truncated: bool = False) -> None:
        """Log what a bot's call changed: `kind` is send, edit, delete or draft."""
        chat = channel.chats[message.chat]
        entry = Received(
            channel.name, channel.platform, kind, chat.id, chat.name, message.id, message.thread, message.reply_to,
            message.text, message.source, message.metadata, time.time(), time.monotonic(), truncated,
        )  # fmt: skip
        self.received.append(entry)
        self._journal.write("received", channel.name, entry)

    def note_call(self, call: Call) -> None:
        """Log a call when its outcome is known."""
        call.ended_at, call.ended_mono = time.time(), time.monotonic()
        self.calls.append(call)
        self._journal.write("call", call.channel or "", call)

    def note_attempt(self, attempt: Attempt) -> None:
        """Log one try to deliver a webhook."""
        self.attempts.append(attempt)
        self._journal.write("attempt", attempt.channel, attempt)

    def queue(self, delivery: Delivery) -> None:
        """Keep a webhook until it is settled, also across a restart."""
        self.pending[delivery.id] = delivery
        self._journal.write("queued", delivery.channel, delivery)

    def settle(self, delivery: Delivery) -> None:
        """Forget a webhook that was accepted or given up."""
        if self.pending.pop(delivery.id, None) is not None:
            self._journal.write("settled", delivery.channel, delivery.id)

    def reset(self, name: str | None, *, forget_channels: bool = False) -> None:
        """Forget what happened: everywhere, or in one channel. Numbers of logs and events go on."""
        chosen = [channel for channel in self.channels.values() if name in {None, channel.name}]
        for channel in chosen:
            channel.forget()
            if forget_channels:
                del self.channels[channel.name]
                self._tokens.pop((channel.platform, channel.credentials.bot_token), None)
        self.pending = {key: value for key, value in self.pending.items() if name not in {None, value.channel}}
        for log in (self.received, self.calls, self.attempts):
            log.clear(None if name is None else lambda entry: entry.channel != name)
        self._journal.compact(self._entries())

    def close(self) -> None:
        """Wake all who wait and close the state file."""
        self.changes.close()
        self._journal.close()

    # The state file

    def _keep_channel(self, channel: Channel) -> None:
        for key in [key for key, value in self._tokens.items() if value.name == channel.name]:
            del self._tokens[key]
        self.channels[channel.name] = channel
        self._tokens[channel.platform, channel.credentials.bot_token] = channel

    def _entries(self) -> Iterator[tuple[str, str, object]]:
        for name, channel in self.channels.items():
            yield "channel", name, _registration(channel)
            yield from (("person", name, person) for person in channel.people.values())
            yield from (("chat", name, chat) for chat in channel.chats.values())
            for messages in channel.messages.values():
                yield from (("message", name, message) for message in messages.values())
        yield from (("received", entry.channel, entry) for entry in self.received.items)
        yield from (("call", entry.channel or "", entry) for entry in self.calls.items)
        yield from (("attempt", entry.channel, entry) for entry in self.attempts.items)
        yield from (("queued", delivery.channel, delivery) for delivery in self.pending.values())

    def _load(self) -> None:
        for kind, name, value in self._journal.read():
            if kind == "channel":
                self._load_channel(value)
            elif kind in {"person", "chat", "message"}:
                self._load_thing(kind, self.channels[name], value)
            else:
                self._load_event(kind, value)
        self._journal.compact(self._entries())

    def _load_channel(self, value: Json) -> None:
        loaded = _CHANNELS.validate_python(value)
        known = self.channels.get(loaded.name)
        if known is not None:
            loaded.people, loaded.chats, loaded.messages = known.people, known.chats, known.messages
            loaded.last_event = max(loaded.last_event, known.last_event)
        self._keep_channel(loaded)

    def _load_thing(self, kind: str, channel: Channel, value: Json) -> None:
        if kind == "person":
            person = _PEOPLE.validate_python(value)
            channel.people[person.name] = person
        elif kind == "chat":
            chat = _CHATS.validate_python(value)
            channel.chats[chat.id] = chat
            channel.messages.setdefault(chat.id, {})
        else:
            message = _MESSAGES.validate_python(value)
            chat = channel.chats[message.chat]
            channel.messages[chat.id][message.id] = message
            if channel.ids.messages == "count":
                chat.last_id = max(chat.last_id, int(message.id))

    def _load_event(self, kind: str, value: object) -> None:
        if kind == "received":
            self.received.restore(_RECEIVED.validate_python(value))
        elif kind == "call":
            self.calls.restore(_CALLS.validate_python(value))
        elif kind == "attempt":
            self.attempts.restore(_ATTEMPTS.validate_python(value))
        elif kind == "settled":
            self.pending.pop(str(value), None)
        elif kind == "queued":
            delivery = _DELIVERIES.validate_python(value)
            self.pending[delivery.id] = delivery
            channel = self.channels[delivery.channel]
            if delivery.event_id.isdecimal():
                channel.last_event = max(channel.last_event, int(delivery.event_id))


def _registration(channel: Channel) -> Json:
    return {
        "name": channel.name,
        "platform": channel.platform,
        "credentials": channel.credentials.model_dump(),
        "options": channel.options.model_dump(),
        "bot": channel.bot,
        "webhook": channel.webhook,
        "last_event": channel.last_event,
    }
