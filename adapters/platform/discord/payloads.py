"""Discord's interactions, messages and dispatches, as far as we read them (https://docs.discord.com/developers).

Called by interactions.py and frames.py. Nearly everything is optional: a new field or kind must never cost a message.
"""

from __future__ import annotations

from pydantic import Field

from adapters.foreign import Foreign


class User(Foreign):
    """A person or a bot."""

    id: str
    username: str | None = None
    global_name: str | None = None
    bot: bool = False
    system: bool = False


class Member(Foreign):
    """A person as one server knows them."""

    user: User | None = None
    nick: str | None = None


class File(Foreign):
    """An attachment. Its address is signed and expires, so it is asked for again when the file is fetched."""

    id: str
    filename: str | None = None
    content_type: str | None = None
    size: int | None = None


class Sticker(Foreign):
    """A sticker."""

    id: str = ""
    name: str | None = None


class PollWords(Foreign):
    """A poll's question."""

    text: str | None = None


class Poll(Foreign):
    """A poll."""

    question: PollWords | None = None


class Reference(Foreign):
    """What a message answers (type 0) or passes on (type 1)."""

    type: int = 0
    message_id: str | None = None


class Button(Foreign):
    """A component; rows hold components."""

    custom_id: str | None = None
    label: str | None = None
    options: list[Option] = Field(default_factory=list["Option"])
    components: list[Button] = Field(default_factory=list["Button"])
    value: str | None = None


class Option(Foreign):
    """One line of a menu."""

    label: str | None = None
    value: str | None = None


class Snapshot(Foreign):
    """A message that was passed on."""

    message: Inner | None = None


class Inner(Foreign):
    """What a message says: the part that a passed-on one has too."""

    content: str = ""
    attachments: list[File] = Field(default_factory=list[File])
    sticker_items: list[Sticker] = Field(default_factory=list[Sticker])
    flags: int = 0
    poll: Poll | None = None
    embeds: list[dict[str, object]] = Field(default_factory=list[dict[str, object]])


class Replied(Foreign):
    """The message that is answered; only who wrote it matters."""

    id: str = ""
    author: User | None = None


class Message(Inner):
    """A message of any kind. Without `guild_id` it is a direct one."""

    id: str
    channel_id: str = ""
    guild_id: str | None = None
    type: int = 0
    author: User | None = None
    member: Member | None = None
    edited_timestamp: str | None = None
    mentions: list[User] = Field(default_factory=list[User])
    webhook_id: str | None = None
    message_reference: Reference | None = None
    referenced_message: Replied | None = None
    message_snapshots: list[Snapshot] = Field(default_factory=list[Snapshot])
    components: list[Button] = Field(default_factory=list[Button])


class Emoji(Foreign):
    """An emoji: a character, or a server's own by name."""

    id: str | None = None
    name: str | None = None


class Reaction(Foreign):
    """A change of somebody's reactions."""

    user_id: str = ""
    channel_id: str = ""
    message_id: str
    guild_id: str | None = None
    emoji: Emoji | None = None


class Gone(Foreign):
    """Deleted messages: ids and nothing else."""

    id: str | None = None
    ids: list[str] = Field(default_factory=list[str])
    channel_id: str = ""
    guild_id: str | None = None


class Argument(Foreign):
    """An option of a command, perhaps with options of its own."""

    name: str = ""
    value: str | int | float | bool | None = None
    options: list[Argument] = Field(default_factory=list["Argument"])


class Resolved(Foreign):
    """The objects that a command names by id."""

    messages: dict[str, Inner] = Field(default_factory=dict[str, Inner])


class Chosen(Foreign):
    """What was called, pressed, chosen or filled in."""

    name: str | None = None
    type: int = 0
    options: list[Argument] = Field(default_factory=list[Argument])
    resolved: Resolved | None = None
    target_id: str | None = None
    custom_id: str | None = None
    values: list[str] = Field(default_factory=list[str])
    components: list[Button] = Field(default_factory=list[Button])


class Interaction(Foreign):
    """An interaction. Who did it stands in `member` in a server, in `user` in a direct chat."""

    id: str
    type: int
    application_id: str | None = None
    data: Chosen | None = None
    guild_id: str | None = None
    channel_id: str | None = None
    member: Member | None = None
    user: User | None = None
    message: Message | None = None


class Dispatch(Foreign):
    """One frame of the gateway."""

    op: int
    t: str | None = None
    s: int | None = None
    d: dict[str, object] | None = None
