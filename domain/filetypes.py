"""What a file is, by its own first bytes: the types that are taken, how they are told apart, how large a picture is. Pure.

What a platform or a name says of a file is never believed: content decides, and what is not recognised is not taken.
The list is the contract's (§1.4); the signatures are those of https://mimesniff.spec.whatwg.org and of the formats.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from domain.files import AttachmentType

HEAD_BYTES: Final = 64 * 1024
MAX_PIXELS: Final = 50_000_000
"""A picture with more would fill a viewer's memory, however small its file is."""

DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP: Final = "application/zip"
OLE: Final = "application/x-ole-storage"
WEB_PAGE: Final = "text/html"
SVG: Final = "image/svg+xml"

TAKEN: Final[dict[str, AttachmentType]] = {
    **dict.fromkeys(("image/jpeg", "image/png", "image/gif", "image/webp"), AttachmentType.IMAGE),
    **dict.fromkeys(("audio/ogg", "audio/mpeg", "audio/mp4", "audio/wav", "audio/webm"), AttachmentType.AUDIO),
    **dict.fromkeys(("video/mp4", "video/webm", "video/quicktime"), AttachmentType.VIDEO),
    **dict.fromkeys(
        ("application/pdf", "application/msword", DOCX, "application/vnd.ms-excel", XLSX, "text/plain", "text/csv"),
        AttachmentType.DOCUMENT,
    ),
}
EXTENSIONS: Final[dict[str, tuple[str, ...]]] = {
    "image/jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "image/png": ("png",),
    "image/gif": ("gif",),
    "image/webp": ("webp",),
    "audio/ogg": ("ogg", "oga", "opus"),
    "audio/mpeg": ("mp3", "mpga"),
    "audio/mp4": ("m4a", "mp4", "m4b"),
    "audio/wav": ("wav",),
    "audio/webm": ("webm", "weba"),
    "video/mp4": ("mp4", "m4v"),
    "video/webm": ("webm",),
    "video/quicktime": ("mov", "qt"),
    "application/pdf": ("pdf",),
    "application/msword": ("doc", "dot"),
    DOCX: ("docx",),
    "application/vnd.ms-excel": ("xls", "xlt"),
    XLSX: ("xlsx",),
    "text/plain": ("txt", "log", "md", "text"),
    "text/csv": ("csv",),
}
"""What a name may end with; the first is put there where it ends otherwise."""

_AT_START: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (b"OggS\x00", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_BRANDS: Final = {b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}
_PICTURE_BRANDS: Final = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"avif", b"crx "})
_MARKUP: Final = re.compile(
    rb"\s*(?:<!--.*?-->\s*|<\?xml[^>]*\?>\s*|<!doctype\s+svg[^>]*>\s*)*<(!doctype\s+html|svg|html|head|body|script|iframe|\?php)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_FRAME_RATES: Final = 3
"""The value of an MPEG frame's two rate bits that does not exist."""


def sniff(head: bytes) -> str | None:
    """Return a file's type by its first bytes; None where it is none that we know. `zip` and `ole` need a look inside."""
    for start, mime_type in _AT_START:
        if head.startswith(start):
            return mime_type
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else None
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return None if brand in _PICTURE_BRANDS or brand.startswith(b"3g") else _BRANDS.get(brand, "video/mp4")
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[2] >> 2 & 3 != _FRAME_RATES:
        return "audio/mpeg"
    return _text(head)


def _text(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            head[: len(head) // 2 * 2].decode("utf-16")
        except UnicodeDecodeError as error:
            return "text/plain" if error.end >= len(head) - 2 else None
        return "text/plain"
    body = head.removeprefix(b"\xef\xbb\xbf")
    if _CONTROL.search(body) is not None:
        return None
    markup = _MARKUP.match(body)
    if markup is not None:
        return SVG if markup.group(1).lower() == b"svg" else WEB_PAGE
    return "text/plain" if body else None


def same_container(sniffed: str, said: str | None, kind: AttachmentType) -> str:
    """Return the type among those that one container can hold: sound or moving pictures, words or a table of them."""
    plain = (said or "").partition(";")[0].strip().lower()
    if sniffed in {"video/mp4", "video/webm"} and (kind is AttachmentType.AUDIO or plain.startswith("audio/")):
        return sniffed.replace("video/", "audio/")
    if sniffed == "text/plain" and plain in {"text/csv", "application/csv"}:
        return "text/csv"
    return sniffed


def dimensions(mime_type: str, head: bytes) -> tuple[int, int] | None:
    """Return a picture's width and height in pixels, from its header; None where it cannot be read."""
    read = _READERS.get(mime_type)
    try:
        found = read(head) if read is not None else None
    except (struct.error, IndexError):
        return None
    return found if found is not None and min(found) > 0 else None


def _png(head: bytes) -> tuple[int, int] | None:
    if head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _gif(head: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack("<HH", head[6:10])
    return width, height


def _webp(head: bytes) -> tuple[int, int] | None:
    form = head[12:16]
    if len(head) < 30:
        return None
    if form == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if form == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


_READERS: Final[dict[str, Callable[[bytes], tuple[int, int] | None]]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/jpeg": _jpeg,
}
