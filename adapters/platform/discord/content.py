"""What a Discord message says: its text or a placeholder, its files; references become names. Called by both readers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from adapters.platform.discord.payloads import Button, File, Inner, Message, User
from domain.filenames import clean_filename
from domain.message import Attachment, MessageType

_VOICE: Final = 1 << 13
_MEDIA: Final = {"image": MessageType.IMAGE, "audio": MessageType.AUDIO, "video": MessageType.VIDEO}
_USER: Final = re.compile(r"<@!?(\d{1,20})>")
_EMOJI: Final = re.compile(r"<a?(:\w{1,40}:)\d{1,20}>")


@dataclass(frozen=True, slots=True)
class Said:
    """A message's text, type and files (which the caller places)."""

    text: str
    message_type: MessageType = MessageType.TEXT
    files: tuple[File, ...] = ()


def read_content(message: Inner) -> Said:
    """Return what the message says."""
    if message.attachments:
        kind = kind_of(message.attachments[0])
        return Said(message.content or _file_label(message), kind, tuple(message.attachments))
    if message.content:
        return Said(message.content)
    if message.sticker_items:
        return Said(f"[sticker: {message.sticker_items[0].name or '?'}]", MessageType.STICKER)
    if message.poll is not None:
        return Said(f"[poll: {(message.poll.question.text if message.poll.question else None) or '?'}]")
    return Said("[embed]" if message.embeds else "[empty message]")


def forwarded(message: Message) -> Said | None:
    """Return what a passed-on message says; None where nothing was passed on."""
    found = [one.message for one in message.message_snapshots if one.message is not None]
    if not found:
        return None
    inner = read_content(found[0])
    return Said(f"[forwarded] {inner.text}", inner.message_type)


def kind_of(file: File) -> MessageType:
    """Return a file's type."""
    return _MEDIA.get((file.content_type or "").partition("/")[0], MessageType.DOCUMENT)


def attachments_of(said: Said, message: Message) -> tuple[Attachment, ...]:
    """Return the files, each by where it stands: its address would have expired when somebody wants it."""
    return tuple(
        Attachment(
            kind_of(file), f"{message.channel_id}/{message.id}/{file.id}", file.content_type, file.filename, file.size
        )
        for file in said.files
    )


def decode(text: str, mentions: list[User], own: str | None) -> str:
    """Return the text as its author saw it; a leading mention of us is an address, not content, and goes."""
    if own is not None:
        text = re.sub(rf"^\s*<@!?{re.escape(own)}>[\s,:]*", "", text) or text
    names = {user.id: user.global_name or user.username or user.id for user in mentions}
    text = _USER.sub(lambda found: f"@{names.get(found.group(1), found.group(1))}", text)
    return _EMOJI.sub(r"\1", text)


def label_of(components: list[Button], custom_id: str | None, values: list[str]) -> str:
    """Return the words that the person saw on what they pressed or chose."""
    for component in components:
        if component.custom_id == custom_id and custom_id is not None:
            chosen = [one.label or one.value or "" for one in component.options if one.value in values]
            return ", ".join(filter(None, chosen)) or component.label or ", ".join(values) or custom_id or "[button]"
        inner = label_of(component.components, custom_id, values)
        if component.components and inner != _fallback(custom_id, values):
            return inner
    return _fallback(custom_id, values)


def _fallback(custom_id: str | None, values: list[str]) -> str:
    return ", ".join(values) or custom_id or "[button]"


def _file_label(message: Inner) -> str:
    if message.flags & _VOICE:
        return "[voice message]"
    return f"[file: {', '.join(clean_filename(file.filename) or '?' for file in message.attachments)}]"
