"""Telegram's updates, as far as we read them (https://core.telegram.org/bots/api#update). Everything is optional.

Called by parsing.py. Fields that are missing here are still kept: the raw body is stored before it is parsed.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from adapters.foreign import Foreign


class User(Foreign):
    """A person or a bot."""

    id: int
    is_bot: bool = False
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None

    @property
    def name(self) -> str | None:
        """The full name as people see it."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or None


class Chat(Foreign):
    """A private chat, a group or a channel."""

    id: int
    type: str = "private"
    title: str | None = None
    username: str | None = None


class Entity(Foreign):
    """A marked stretch of text; offset and length are UTF-16 units."""

    type: str = ""
    offset: int = 0
    length: int = 0
    user: User | None = None


class FileRef(Foreign):
    """Any of the file objects: photo size, voice, audio, video, animation, document, sticker."""

    file_id: str
    file_name: str | None = None
    mime_type: str | None = None
    file_size: int | None = None
    emoji: str | None = None


class Location(Foreign):
    """A point, perhaps moving."""

    latitude: float = 0.0
    longitude: float = 0.0


class Venue(Foreign):
    """A named place; the message's `location` is filled as well."""

    title: str = ""
    address: str = ""


class Contact(Foreign):
    """A shared contact."""

    first_name: str = ""
    last_name: str | None = None
    phone_number: str = ""


class Poll(Foreign):
    """A poll's question."""

    question: str = ""


class Dice(Foreign):
    """A thrown die."""

    emoji: str = ""
    value: int = 0


class Button(Foreign):
    """One inline button."""

    text: str = ""
    callback_data: str | None = None


class Keyboard(Foreign):
    """The buttons under a message."""

    inline_keyboard: list[list[Button]] = Field(default_factory=list[list[Button]])


class Replied(Foreign):
    """The message that a message answers."""

    message_id: int = 0
    from_: User | None = Field(default=None, alias="from")


class Message(Foreign):
    """A message of any kind."""

    message_id: int
    chat: Chat
    date: int | None = None
    edit_date: int | None = None
    from_: User | None = Field(default=None, alias="from")
    sender_chat: Chat | None = None
    via_bot: User | None = None
    is_automatic_forward: bool = False
    message_thread_id: int | None = None
    is_topic_message: bool = False
    media_group_id: str | None = None
    reply_to_message: Replied | None = None
    text: str | None = None
    entities: list[Entity] = Field(default_factory=list[Entity])
    caption: str | None = None
    caption_entities: list[Entity] = Field(default_factory=list[Entity])
    rich_message: dict[str, Any] | None = None
    photo: list[FileRef] = Field(default_factory=list[FileRef])
    live_photo: FileRef | None = None
    voice: FileRef | None = None
    audio: FileRef | None = None
    video: FileRef | None = None
    video_note: FileRef | None = None
    animation: FileRef | None = None
    document: FileRef | None = None
    sticker: FileRef | None = None
    location: Location | None = None
    venue: Venue | None = None
    contact: Contact | None = None
    poll: Poll | None = None
    dice: Dice | None = None
    migrate_to_chat_id: int | None = None
    migrate_from_chat_id: int | None = None
    reply_markup: Keyboard | None = None


class Callback(Foreign):
    """A pressed inline button."""

    id: str
    from_: User = Field(alias="from")
    data: str | None = None
    message: Message | None = None


class ReactionKind(Foreign):
    """One reaction."""

    type: str = ""
    emoji: str | None = None


class Reaction(Foreign):
    """A change of somebody's reactions to a message."""

    chat: Chat
    message_id: int
    date: int | None = None
    user: User | None = None
    actor_chat: Chat | None = None
    new_reaction: list[ReactionKind] = Field(default_factory=list[ReactionKind])


class MemberState(Foreign):
    """A membership after a change."""

    status: str = ""


class MemberChange(Foreign):
    """Somebody's membership changed; in `my_chat_member` it is ours."""

    chat: Chat
    from_: User = Field(alias="from")
    date: int | None = None
    new_chat_member: MemberState | None = None
