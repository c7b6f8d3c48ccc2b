"""How one platform acts, as far as the platforms differ: what people's doings look like and how webhooks prove themselves.

The base class plays a platform that tells a bot nothing; each `*_play.py` says what its platform does tell. Called by
people.py, webhooks.py and control.py through the table in plays.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.channel import Channel
from simulator.records import Chat, Credentials, Delivery, Json, Message
from simulator.state import World
from simulator.wish import Done, ImpossibleError, Say


@dataclass(frozen=True, slots=True)
class Texts:
    """What a person typed: as it is seen, as the platform stores it, and what a client marked in it."""

    text: str
    source: str
    entities: list[Json] = field(default_factory=list[Json])


class Play:
    """A platform's behaviour. `ack_s`: how long a webhook may take. `files_each`: how many files a message carries."""

    ack_s = 60.0
    files_each = 10

    def secret(self, given: Credentials) -> str:
        """Return what webhooks are signed with."""
        return given.webhook_secret

    def reach(self, channel: Channel, say: Say) -> Say:
        """Return the wish in a form in which the platform tells a bot of it, where there are several."""
        return say

    def mention(self, channel: Channel, text: str) -> str:
        """Return the text addressed to the bot."""
        return f"@{channel.bot.username} {text}"

    def texts(self, text: str) -> Texts:
        """Return what a client makes of typed text."""
        return Texts(text, text)

    def snapshot(self, channel: Channel, message: Message) -> Json:
        """Return the message as it was before a change, where the platform tells that."""
        return {}

    def written(self, done: Done, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
        """Return what tells of a new message."""
        return []

    def edited(self, done: Done, message: Message, before: Json, event_id: str | None) -> list[Delivery]:
        """Return what tells of an edit."""
        return []

    def deleted(self, done: Done, message: Message, event_id: str | None) -> list[Delivery]:
        """Return what tells of a deletion."""
        return []

    def reacted(self, done: Done, message: Message, emoji: str) -> list[Delivery]:
        """Return what tells of a reaction."""
        return []

    def pressed(self, done: Done, message: Message, say: Say) -> list[Delivery]:
        """Return what tells of a pressed button."""
        return []

    def command(self, done: Done, text: str) -> list[Delivery] | None:
        """Return what tells of a command; None where commands are ordinary messages."""
        return None

    def upgraded(self, done: Done) -> list[Delivery]:
        """Make the group one of another kind, with an id of its own, and return what tells of it. Raises ImpossibleError."""
        raise ImpossibleError("no group changes its kind here")

    def renumbered(self, done: Done, number: str) -> list[Delivery]:
        """Give the person another telephone number and return what tells of it. Raises ImpossibleError."""
        raise ImpossibleError("nobody is known by a telephone number here")

    def raw(self, done: Done, payload: Json, event_id: str | None) -> list[Delivery]:
        """Return a delivery of any content. Raises ImpossibleError."""
        return []

    def told(self, channel: Channel, delivery: Delivery, body: bytes) -> tuple[str, Json] | None:
        """Return name and content of what the bot is told over its own connection instead; None where a webhook is sent."""
        return None

    def answered(self, world: World, channel: Channel, delivery: Delivery, answer: bytes) -> None:
        """Act on what the webhook was answered with, where that is more than an acknowledgement."""

    def headers(
        self, channel: Channel, delivery: Delivery, body: bytes, again: tuple[int, str | None]
    ) -> dict[str, str]:
        """Return the headers of one attempt. `again`: how often it failed, and why the last time."""
        return {}

    def seal(self, channel: Channel, body: bytes) -> bytes:
        """Return the body as it is sent, where the proof is a part of it."""
        return body
