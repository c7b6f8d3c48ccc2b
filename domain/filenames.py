"""Names of files that strangers chose, made safe to store, to show and to save under. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from domain.filetypes import EXTENSIONS
from domain.sanitize import storable

MAX_BYTES: Final = 255
"""What a name may take on the usual file systems."""
_DIRECTED: Final = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Invisible, or turning the order of letters round: `invoice\u202efdp.exe` is shown as `invoiceexe.pdf`."""
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\/]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def clean_filename(name: str | None) -> str | None:
    """Return the last part of a name without what deceives or breaks, in at most 255 bytes; None where nothing is left."""
    if name is None:
        return None
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", storable(name)))[-1]
    kept = _FORBIDDEN.sub("_", _DIRECTED.sub("", last)).strip(" .")
    if _DEVICES.fullmatch(kept):
        kept = f"_{kept}"
    return _shortened(kept) or None


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 16:
        stem, dot, extension = name, "", ""
    room = MAX_BYTES - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + dot + extension


def download_name(name: str | None, mime_type: str) -> str:
    """Return the name to save a file under: it ends as its type does, so that nothing opens as something else."""
    endings = EXTENSIONS.get(mime_type, ("bin",))
    cleaned = clean_filename(name) or "file"
    if cleaned.rpartition(".")[2].lower() in endings and "." in cleaned:
        return cleaned
    return _shortened(f"{cleaned}.{endings[0]}")


def content_disposition(name: str) -> str:
    """Return the header that has a browser save a file, never show it: RFC 6266, with the name in both spellings."""
    ascii_name = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
