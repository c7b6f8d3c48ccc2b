"""Ids made from names, the same in every run, so that a restarted simulator knows its people and chats again.

Pure; called by state.py. An id that is already written in a platform's own form is kept as it is.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from typing import Final

_TELEGRAM_ID: Final = re.compile(r"-?\d+")
_SLACK_USER: Final = re.compile(r"[UW][A-Z0-9]{8,}")
_SLACK_CHAT: Final = re.compile(r"[CDG][A-Z0-9]{8,}")
_PAST_32_BITS: Final = 5_000_000_000
"""Telegram's ids exceed 32 bits (platforms.md §2.2), so ours do as well."""


def telegram_user_id(name: str) -> str:
    """Return the person's id; a private chat has the same."""
    return name if _TELEGRAM_ID.fullmatch(name) else str(_PAST_32_BITS + zlib.crc32(name.encode()))


def telegram_chat_id(name: str, kind: str) -> str:
    """Return a group's id: supergroups and channels carry the -100 prefix, plain groups do not."""
    if _TELEGRAM_ID.fullmatch(name):
        return name
    number = zlib.crc32(name.encode())
    return str(-(number + 1)) if kind == "group" else str(-(1_000_000_000_000 + number))


def slack_id(prefix: str, *parts: str) -> str:
    """Return an id of the platform's form: a letter and ten of A-Z 2-7."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return prefix + base64.b32encode(digest).decode()[:10]


def slack_user_id(name: str) -> str:
    """Return the person's id."""
    return name if _SLACK_USER.fullmatch(name) else slack_id("U", name)


def slack_chat_id(name: str, kind: str) -> str:
    """Return a conversation's id: C for channels, G for group messages. Direct messages are named by both sides."""
    if _SLACK_CHAT.fullmatch(name):
        return name
    return slack_id("G" if kind == "mpim" else "C", name.removeprefix("#"))


def slug(name: str) -> str:
    """Return the name as a username."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "demo"
