"""A look at a received file before it is kept: is it what we take, and nothing that harms by being opened?

Reads heads, ends and directories, decodes and unpacks nothing. A virus scanner comes after (activities/clamd.py).
Called by activities/media.py, and for files that operators send.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, Final

from activities.archives import has_archive, office_type
from activities.sounds import duration_s
from domain.errors import FileRefusedError
from domain.files import AttachmentType
from domain.filetypes import HEAD_BYTES, MAX_PIXELS, OLE, SVG, TAKEN, WEB_PAGE, ZIP, dimensions, same_container, sniff

_WORDS: Final = {
    SVG: "an SVG picture, which can hold programs; those are not taken",
    WEB_PAGE: "a web page; those are not taken",
}
_ACTIVE: Final = re.compile(rb"<(script|html|iframe|svg|\?php)[\s>]", re.IGNORECASE)
_OLE_NAMES: Final = (("application/msword", "WordDocument"), ("application/vnd.ms-excel", "Workbook"))


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a file is by its content. `width`, `height` in pixels, `duration_s` where its header says them."""

    mime_type: str
    attachment_type: AttachmentType
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None

    def metadata(self) -> dict[str, object]:
        """Return what is kept beside the file, as the contract names it."""
        named = {"width": self.width, "height": self.height, "duration": self.duration_s}
        return {name: value for name, value in named.items() if value is not None}


def inspect(file: IO[bytes], size_bytes: int, *, said: str | None, kind: AttachmentType) -> Inspected:
    """Return what a file is. `said`: the platform's word for its type, `kind`: for its kind; content decides.

    Blocking: run it in a thread. Raises FileRefusedError with the reason, in words that follow "this file is".
    """
    if size_bytes == 0:
        raise FileRefusedError("empty")
    file.seek(0)
    head = file.read(HEAD_BYTES)
    found = sniff(head)
    if found == ZIP:
        found = office_type(file, size_bytes)
    elif found == OLE:
        found = _ole_type(head)
    elif found == "text/plain":
        _check_text(file)
    mime_type = same_container(found, said, kind) if found else None
    taken = TAKEN.get(mime_type or "")
    if mime_type is None or taken is None:
        raise FileRefusedError(_WORDS.get(found or "", "of a type that is not taken"))
    _check_mixture(file, head, size_bytes, mime_type)
    width, height = _size_of(mime_type, file, head) if taken is AttachmentType.IMAGE else (None, None)
    return Inspected(mime_type, taken, width, height, duration_s(file, size_bytes, mime_type))


def _ole_type(head: bytes) -> str | None:
    """Tell Word from Excel by the names in the directory, which stands near the beginning or not at all for us."""
    return next((mime for mime, name in _OLE_NAMES if name.encode("utf-16-le") in head), None)


def _check_text(file: IO[bytes]) -> None:
    """Text has no NUL byte further on either: else something else hides behind a readable beginning."""
    file.seek(0)
    wide = file.read(2) in {b"\xff\xfe", b"\xfe\xff"}
    while not wide and (chunk := file.read(HEAD_BYTES)):
        if b"\x00" in chunk:
            raise FileRefusedError("of a type that is not taken")


def _check_mixture(file: IO[bytes], head: bytes, size_bytes: int, mime_type: str) -> None:
    """Refuse what is two things at once: one program shows a picture, another one runs what is in it."""
    if b"%PDF-" in head[1:1024]:
        raise FileRefusedError("two types at once (a PDF within something else)")
    if mime_type.startswith("image/") and _ACTIVE.search(head):
        raise FileRefusedError("two types at once (a program within a picture)")
    is_container = mime_type.startswith("application/vnd.openxmlformats")
    if not is_container and has_archive(file, size_bytes):
        raise FileRefusedError("two types at once (an archive behind something else)")


def _size_of(mime_type: str, file: IO[bytes], head: bytes) -> tuple[int, int]:
    found = dimensions(mime_type, head)
    if found is None and mime_type == "image/jpeg":
        # Previews and colour profiles may stand before the size.
        file.seek(0)
        found = dimensions(mime_type, file.read(2 << 20))
    if found is None:
        raise FileRefusedError("a damaged picture")
    width, height = found
    if width * height > MAX_PIXELS:
        raise FileRefusedError(f"a picture of {width} by {height} pixels; at most {MAX_PIXELS // 1_000_000} million")
    return width, height
