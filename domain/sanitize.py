"""Inbound text rules: what a person wrote, made safe to store and to show to a model. Pure; called by db/ingest.

Postgres cannot hold NUL, and lone surrogates cannot be encoded as UTF-8; both do arrive in real payloads.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

USER_START: Final = "[USER_MESSAGE_START]"
USER_END: Final = "[USER_MESSAGE_END]"

_CONTROL_WORDS: Final = ("SYSTEM", "INSTRUCTION", "IGNORE", "USER_MESSAGE_START", "USER_MESSAGE_END")
_MARKER: Final = re.compile(
    r"\[\s*/?\s*(?:" + "|".join(r"[\s_\-]*".join(word.replace("_", "")) for word in _CONTROL_WORDS) + r")\s*\]",
    re.IGNORECASE,
)
_INVISIBLE: Final = re.compile("[\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def storable(text: str) -> str:
    """Return `text` without NUL and with lone surrogates replaced: the form that every store and socket accepts."""
    if "\x00" not in text and text.isascii():
        return text
    cleaned = text.replace("\x00", "")
    return cleaned.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def strip_markers(text: str) -> str:
    """Remove control markers that imitate our delimiters, to a fixpoint, also when spelled wide, spaced or nested.

    Markers are looked for in a normalised copy; when one is found the normalised copy is what remains, because a
    position in it does not map back to the original.
    """
    folded = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if not _MARKER.search(folded):
        return text
    previous = None
    while folded != previous:
        previous = folded
        folded = _MARKER.sub("", folded)
    return folded


def sanitize(text: str) -> str:
    """Return the text as a model may see it: trimmed, without imitated markers, wrapped in the user delimiters.

    Blank text stays blank. Idempotent on its own inner text; the per-message nonce is added when a prompt is built.
    """
    inner = strip_markers(storable(text)).strip()
    if not inner:
        return ""
    return f"{USER_START}\n{inner}\n{USER_END}"
