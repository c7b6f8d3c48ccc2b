"""Files of messages in words: their kinds, how each stands, and what is said of them to readers and agents. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from domain.message import MessageType


class AttachmentType(StrEnum):
    """The four kinds of files."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"


class AttachmentState(StrEnum):
    """How a file stands; each but `waiting` is final.

    `stored`: its bytes are ours, looked at and safe to hand out. `refused`: it broke a rule, and `reason` says which.
    `failed`: the platform did not hand it out, however often it was asked. `expired`: it was stored, and deleted after its time.
    """

    WAITING = "waiting"
    STORED = "stored"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"


_KINDS: Final = {
    MessageType.IMAGE: AttachmentType.IMAGE,
    MessageType.STICKER: AttachmentType.IMAGE,
    MessageType.AUDIO: AttachmentType.AUDIO,
    MessageType.VIDEO: AttachmentType.VIDEO,
}


def attachment_type(kind: MessageType) -> AttachmentType:
    """Return what kind of file a message of this type carries; a sticker is an image."""
    return _KINDS.get(kind, AttachmentType.DOCUMENT)


def formatted_size(size_bytes: int) -> str:
    """Return a size as people read it: `512 B`, `1.5 KB`, `25.0 MB`. In whole numbers, as flow.formatted_size counts."""
    for unit, bytes_each in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if size_bytes >= bytes_each:
            tenths = (size_bytes * 10 + bytes_each // 2) // bytes_each
            return f"{tenths // 10}.{tenths % 10} {unit}"
    return f"{size_bytes} B"


def is_label(content: str) -> bool:
    """Whether a message has no words of its person's: adapters put a label in brackets there, `[voice message]`."""
    return content.startswith("[") and content.endswith("]") and "\n" not in content


@dataclass(frozen=True, slots=True)
class FileNote:
    """What an agent is told of a file. `transcription`: where it does not stand in the message's text already."""

    kind: str
    state: str
    filename: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    reason: str | None = None
    transcription: str | None = None

    def line(self) -> str:
        """Return it as a line in brackets."""
        named = f'{self.kind} "{self.filename}"' if self.filename else self.kind
        if self.state == AttachmentState.STORED:
            size = "" if self.size_bytes is None else f", {formatted_size(self.size_bytes)}"
            said = "" if self.transcription is None else f", transcribed: {self.transcription}"
            return f"[{named}, {self.mime_type}{size}{said}]"
        if self.state == AttachmentState.REFUSED:
            return f"[{named} was not taken: {self.reason}]"
        if self.state == AttachmentState.FAILED:
            return f"[{named} could not be fetched: {self.reason}]"
        if self.state == AttachmentState.EXPIRED:
            return f"[{named} was deleted: {self.reason}]"
        return f"[{named} is still being fetched]"
