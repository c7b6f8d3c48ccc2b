"""What a person wishes to do, and what became of it. Data only; read by people.py and by the platforms' plays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.channel import Channel
from simulator.records import Chat, Delivery, Json, Message, Person
from simulator.state import World

SayKind = Literal["message", "edit", "delete", "command", "press", "react", "bot_message", "upgrade", "raw"]


class FileInput(BaseModel):
    """A file that a person sends along."""

    model_config = ConfigDict(extra="forbid")

    name: str
    content_base64: str = ""
    mime_type: str | None = None
    """None: by the name, as a phone does it."""
    kind: Literal["image", "voice", "audio", "video", "document", "sticker"] | None = None
    size: int | None = Field(default=None, ge=0)
    """Fills the content up with zeros to so many bytes; None: as it is."""


class Say(BaseModel):
    """One thing a person does."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    person: str = Field(alias="as")
    text: str = ""
    chat: str | None = None
    """A group by name or id; None is the private chat with the bot."""
    chat_kind: Literal["group", "supergroup", "channel", "mpim"] | None = None
    thread: str | None = None
    reply_to: str | None = None
    at: float | None = None
    """The platform's time of the event, seconds since 1970; None is now."""
    event_id: str | None = None
    mention: bool = False
    bot: bool = False
    kind: SayKind = "message"
    """upgrade: a group becomes a supergroup, with an id of its own."""
    target: str | None = None
    """The message that is edited, deleted, pressed or reacted to."""
    files: list[FileInput] = []
    payload: Json | None = None
    """raw: the event, {kind: content} (Telegram) or a change's value (WhatsApp); press: Slack's action. A press names its button
    in `text`, by label or value."""


class ImpossibleError(ValueError):
    """A person cannot do that."""


@dataclass(slots=True)
class Done:
    """What a wish became. No deliveries: the platform does not tell the bot about it by a webhook."""

    world: World
    channel: Channel
    chat: Chat
    person: Person
    origin: str
    message: Message | None = None
    deliveries: list[Delivery] = field(default_factory=list[Delivery])
