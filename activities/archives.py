"""A look into a ZIP container without unpacking it: Office files are some, and bombs are built of them.

Only the directory at its end is read, and the first bytes of each entry. Called by activities/inspection.py.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from typing import IO, Final

from domain.errors import FileRefusedError
from domain.files import formatted_size
from domain.filetypes import DOCX, XLSX

MAX_ENTRIES: Final = 2_000
MAX_DIRECTORY_BYTES: Final = 1 << 20
MAX_UNPACKED_BYTES: Final = 200 << 20
MAX_RATIO: Final = 200
"""How far an entry over 1 MB may shrink; the XML of a large table comes to about 40."""
_END: Final = b"PK\x05\x06"
_TAIL_BYTES: Final = 65_557
"""The record at the end and the longest comment after it."""
_ARCHIVES: Final = (b"PK\x03\x04", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_NESTED: Final = re.compile(r"\.(zip|jar|rar|7z|gz|tgz|bz2|xz|docx|xlsx|pptx|apk|iso|cab)$", re.IGNORECASE)
_ESCAPES: Final = re.compile(r"(^|[\\/])\.\.([\\/]|$)|^[\\/]|^[A-Za-z]:|[\x00\\]")


def has_archive(file: IO[bytes], size_bytes: int) -> bool:
    """Whether a ZIP's directory ends the file: unpackers look there, whatever the file begins with."""
    tail = _tail(file, size_bytes)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        return False
    (directory_bytes,) = struct.unpack("<I", tail[at + 12 : at + 16])
    return directory_bytes <= size_bytes


def _tail(file: IO[bytes], size_bytes: int) -> bytes:
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    return file.read(_TAIL_BYTES)


def office_type(file: IO[bytes], size_bytes: int) -> str:
    """Return which Office type a ZIP container is. Raises FileRefusedError for any other, and for bombs and traps."""
    _check_directory(_tail(file, size_bytes))
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_entries(entries, size_bytes)
            names = {entry.filename for entry in entries}
            if "[Content_Types].xml" not in names:
                raise FileRefusedError("an archive; archives are not taken")
            for entry in entries:
                _check_start(archive, entry)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, struct.error, RuntimeError) as error:
        raise FileRefusedError("a damaged archive") from error
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise FileRefusedError("an Office file with macros; those are not taken")
    if "word/document.xml" in names:
        return DOCX
    if "xl/workbook.xml" in names:
        return XLSX
    raise FileRefusedError("an archive; archives are not taken")


def _check_directory(tail: bytes) -> None:
    """Look at the record at the end before the library reads what it promises."""
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        raise FileRefusedError("a damaged archive")
    entries, directory_bytes = struct.unpack("<HI", tail[at + 10 : at + 16])
    if entries > MAX_ENTRIES or directory_bytes > MAX_DIRECTORY_BYTES:
        raise FileRefusedError(f"an archive of more than {MAX_ENTRIES} files")


def _check_entries(entries: list[zipfile.ZipInfo], size_bytes: int) -> None:
    if len(entries) > MAX_ENTRIES:
        raise FileRefusedError(f"an archive of more than {MAX_ENTRIES} files")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED_BYTES:
        raise FileRefusedError(f"an archive that unpacks to {formatted_size(unpacked)}")
    if sum(entry.compress_size for entry in entries) > size_bytes:
        raise FileRefusedError("an archive whose entries share their bytes")
    for entry in entries:
        # The library ends a name at a NUL byte; what stands behind it counts here.
        if _ESCAPES.search(entry.orig_filename):
            raise FileRefusedError("an archive with entries outside of itself")
        if entry.flag_bits & 1:
            raise FileRefusedError("an encrypted archive, which nobody can look into")
        if entry.file_size > 1 << 20 and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
            raise FileRefusedError("an archive that unpacks to far more than its size")
        if _NESTED.search(entry.filename):
            raise FileRefusedError("an archive within an archive")


def _check_start(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    with archive.open(entry) as opened:
        if opened.read(8).startswith(_ARCHIVES):
            raise FileRefusedError("an archive within an archive")
