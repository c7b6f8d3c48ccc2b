"""How long a recording lasts, where its header or its last page says so. Reads no sound. Called by activities/inspection.py."""

from __future__ import annotations

import struct
from typing import IO, Final

_PAGE: Final = b"OggS"
_LAST_BYTES: Final = 65_536
"""A page is at most that long, so the last one begins within: https://www.rfc-editor.org/rfc/rfc3533#section-6."""
_OPUS_RATE: Final = 48_000
"""Opus counts in this rate, whatever it was recorded with: https://www.rfc-editor.org/rfc/rfc7845#section-4."""


def duration_s(file: IO[bytes], size_bytes: int, mime_type: str) -> float | None:
    """Return seconds, to a hundredth; None where they are not known."""
    try:
        if mime_type == "audio/ogg":
            return _ogg(file, size_bytes)
        if mime_type == "audio/wav":
            return _wav(file)
    except (struct.error, ZeroDivisionError):
        pass
    return None


def _ogg(file: IO[bytes], size_bytes: int) -> float | None:
    file.seek(0)
    head = file.read(256)
    file.seek(max(0, size_bytes - _LAST_BYTES))
    tail = file.read(_LAST_BYTES)
    at = tail.rfind(_PAGE)
    (samples,) = struct.unpack("<q", tail[at + 6 : at + 14])
    if (opus := head.find(b"OpusHead")) >= 0:
        (skipped,) = struct.unpack("<H", head[opus + 10 : opus + 12])
        return round(max(0, samples - skipped) / _OPUS_RATE, 2)
    if (vorbis := head.find(b"\x01vorbis")) >= 0:
        (rate,) = struct.unpack("<I", head[vorbis + 12 : vorbis + 16])
        return round(max(0, samples) / rate, 2)
    return None


def _wav(file: IO[bytes]) -> float | None:
    file.seek(28)
    (bytes_per_s,) = struct.unpack("<I", file.read(4))
    file.seek(0)
    head = file.read(4096)
    at = head.find(b"data", 12)
    if at < 0:
        return None
    (length,) = struct.unpack("<I", head[at + 4 : at + 8])
    return round(length / bytes_per_s, 2)
