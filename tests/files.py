"""Small real files of every type that is taken, made here, for tests of whatever handles files."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 2, height: int = 3, padding: int = 0) -> bytes:
    """A picture whose header says this size; `padding`: bytes of a comment that make it larger."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\x00" + b"\x80\x40\x20" * 2 for _ in range(3)))
    comment = chunk(b"tEXt", b"Comment\x00" + b"x" * padding) if padding else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + comment + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int = 2, height: int = 3, before: int = 0) -> bytes:
    """A picture's markers, as far as its size; `before`: bytes of segments that stand before it."""
    segments = b""
    while before > 0:
        size = min(before, 65_533)
        segments += b"\xff\xe1" + struct.pack(">H", size + 2) + b"e" * size
        before -= size
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x01\x11\x00\x02\x11\x01\x03\x11\x01"
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + segments + frame + b"\xff\xd9"


def gif(width: int = 2, height: int = 3) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x00\x00\x00;"


def webp(width: int = 2, height: int = 3) -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + b"\x00" * 4
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def ogg(seconds: float = 1.5, says: str = "") -> bytes:
    """A voice message's pages without its sound: Opus, with 312 samples skipped. `says`: what the simulator transcribes."""
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 312, 16_000, 0, 0)
    first = b"OggS\x00\x02" + struct.pack("<qIIIB", 0, 1, 0, 0, 1) + bytes([len(head)]) + head
    comment = f"TRANSCRIPT={says}\0".encode() if says else b""
    return first + comment + b"OggS\x00\x04" + struct.pack("<qIIIB", int(seconds * 48_000) + 312, 1, 1, 0, 1) + b"\x01s"


def wav(seconds: int = 2) -> bytes:
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 8_000, 1, 8)
    return b"RIFF\x00\x00\x00\x00WAVE" + form + b"data" + struct.pack("<I", 8_000 * seconds) + b"\x80" * 16


def mp4(brand: bytes = b"isom") -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + b"\x00\x00\x02\x00isommp42" + b"\x00\x00\x00\x08moov"


def webm() -> bytes:
    return b"\x1aE\xdf\xa3\x93\x42\x82\x84webm" + b"\x18S\x80g" + b"\x00" * 16


def mp3() -> bytes:
    return b"ID3\x03\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x00" + b"\x00" * 64


def pdf() -> bytes:
    return b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def ole(name: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 504 + name.encode("utf-16-le") + b"\x00" * 512


def zipped(entries: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return target.getvalue()


def docx(more: Mapping[str, bytes] | None = None) -> bytes:
    return zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w:document/>", **(more or {})})


def xlsx() -> bytes:
    return zipped({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})
