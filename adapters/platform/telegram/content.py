"""What a Telegram message says: its text or a placeholder, its type, its files, and whether it speaks to us.

Nothing is dropped: what has no text of its own becomes words in brackets, so that an agent and an operator see that
something came. Called by parsing.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from adapters.base import ChannelContext
from adapters.platform.telegram.payloads import Entity, FileRef, Message
from domain.filenames import clean_filename
from domain.message import Attachment, MessageType

_FILES: Final = (
    ("live_photo", MessageType.IMAGE, "photo"),
    ("sticker", MessageType.STICKER, "sticker"),
    # An animation fills `document` as well, so it is looked for first.
    ("animation", MessageType.VIDEO, "animation"),
    ("video", MessageType.VIDEO, "video"),
    ("video_note", MessageType.VIDEO, "video message"),
    ("voice", MessageType.AUDIO, "voice message"),
    ("audio", MessageType.AUDIO, "audio"),
    ("document", MessageType.DOCUMENT, "document"),
)
_RICH_TEXT_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Content:
    """A message's text, type and files."""

    text: str
    message_type: MessageType = MessageType.TEXT
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Ourselves:
    """Our own bot, as far as it is known."""

    id: int | None
    username: str | None

    @classmethod
    def of(cls, channel: ChannelContext) -> Ourselves:
        """Read what `check` learned; before that, the id is in the token's first half."""
        known = channel.identity.get("id") or channel.credentials.get("bot_token", "").partition(":")[0]
        return cls(int(known) if known.isascii() and known.isdigit() else None, channel.identity.get("username"))


def read_content(message: Message, unknown_fields: Iterable[str]) -> Content:
    """Return the content. `unknown_fields`: names in the raw message that our model does not have."""
    words = message.text or message.caption
    if message.text:
        return Content(message.text)
    if message.photo:
        largest = max(message.photo, key=lambda size: size.file_size or 0)
        return Content(words or "[photo]", MessageType.IMAGE, (_attachment(largest, MessageType.IMAGE),))
    for name, kind, label in _FILES:
        file: FileRef | None = getattr(message, name)
        if file is not None:
            return Content(words or _file_label(label, file), kind, (_attachment(file, kind),))
    if message.location is not None:
        return Content(words or _place(message), MessageType.LOCATION)
    return Content(words or _other(message, unknown_fields))


def _attachment(file: FileRef, kind: MessageType) -> Attachment:
    return Attachment(kind, file.file_id, file.mime_type, file.file_name, file.file_size)


def _file_label(label: str, file: FileRef) -> str:
    if label == "sticker":
        return f"[sticker {file.emoji}]" if file.emoji else "[sticker]"
    name = clean_filename(file.file_name)
    return f"[{label}: {name}]" if name else f"[{label}]"


def _place(message: Message) -> str:
    where = message.location
    assert where is not None
    point = f"{where.latitude}, {where.longitude}"
    if message.venue is not None:
        return f"[location: {message.venue.title}, {message.venue.address} ({point})]"
    return f"[location: {point}]"


def _other(message: Message, unknown_fields: Iterable[str]) -> str:
    if message.contact is not None:
        who = " ".join(filter(None, (message.contact.first_name, message.contact.last_name)))
        return f"[contact: {who} {message.contact.phone_number}]"
    if message.poll is not None:
        return f"[poll: {message.poll.question}]"
    if message.dice is not None:
        return f"[dice {message.dice.emoji} {message.dice.value}]"
    if message.rich_message is not None:
        return _rich_text(message.rich_message) or "[formatted message]"
    names = ", ".join(sorted(unknown_fields))
    return f"[message of a kind that is not supported: {names}]" if names else "[empty message]"


def _rich_text(rich: Mapping[str, Any]) -> str:
    """Collect the texts of a formatted message, whatever blocks they sit in."""
    found: list[str] = []
    waiting: list[object] = [rich]
    while waiting and sum(map(len, found)) < _RICH_TEXT_MAX:
        item = waiting.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict):
            fields = cast("dict[str, object]", item)
            waiting.extend(value for name, value in reversed(fields.items()) if _holds_text(name, value))
        elif isinstance(item, list):
            waiting.extend(reversed(cast("list[object]", item)))
    return "\n".join(found)


def _holds_text(name: str, value: object) -> bool:
    return isinstance(value, dict | list) or (
        name in {"text", "html", "markdown", "caption"} and isinstance(value, str)
    )


def mentions(message: Message, us: Ourselves) -> bool:
    """Whether a group message speaks to us: a mention, a command, or an answer to what we wrote."""
    replied = message.reply_to_message
    if replied is not None and replied.from_ is not None and replied.from_.id == us.id:
        return True
    words = message.text or message.caption or ""
    entities = message.entities if message.text else message.caption_entities
    if any(_entity_is_ours(entity, words, us) for entity in entities):
        return True
    # Some clients send formatted text without the mention's entity.
    return us.username is not None and re.search(rf"(?i)(?<!\w)@{re.escape(us.username)}(?!\w)", words) is not None


def _entity_is_ours(entity: Entity, words: str, us: Ourselves) -> bool:
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == us.id
    if entity.type == "bot_command":
        return command_is_ours(spelled(entity, words), us)
    if entity.type != "mention":
        return False
    name = spelled(entity, words).removeprefix("@").lower()
    # Before the first check our name is not known; bots' names end in "bot", and no mention may be lost.
    return name == us.username.lower() if us.username else name.endswith("bot")


def command_is_ours(command: str, us: Ourselves) -> bool:
    """Whether `/name` or `/name@bot` is meant for us."""
    _, at, bot = command.partition("@")
    return not at or us.username is None or bot.lower() == us.username.lower()


def spelled(entity: Entity, words: str) -> str:
    """Return the entity's text; its offsets are UTF-16 units."""
    units = words.encode("utf-16-le", "surrogatepass")
    start = max(entity.offset, 0) * 2
    return units[start : start + max(entity.length, 0) * 2].decode("utf-16-le", "replace")
