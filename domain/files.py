"""Files of messages in words: their kinds, how each stands, and what is said of them to readers and agents. Pure."""

from __future__ import annotations

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
    `failed`: the platform did not hand it out, however often it was asked.
    """

    WAITING = "waiting"
    STORED = "stored"
    REFUSED = "refused"
    FAILED = "failed"


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
    """Return a size as people read it: `512 B`, `1.5 KB`, `25.0 MB`."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("KB", "MB", "GB"):
        size /= 1024
        if size < 1024 or unit == "GB":
            return f"{size:.1f} {unit}"
    raise AssertionError
