"""Ids made from names, the same in every run, so that a restarted simulator knows its people and chats again.

Pure; called by state.py. An id that is already written in a platform's own form is kept as it is.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from dataclasses import dataclass
from typing import Final, Literal

_TELEGRAM_ID: Final = re.compile(r"-?\d+")
_SLACK_USER: Final = re.compile(r"[UW][A-Z0-9]{8,}")
_SLACK_CHAT: Final = re.compile(r"[CDG][A-Z0-9]{8,}")
_PHONE: Final = re.compile(r"\d{7,15}")
_GROUP: Final = re.compile(r"Z3JvdXA6[A-Za-z0-9_-]+")
_SERVER_ID: Final = re.compile(r"[a-z0-9]{26}")
_SNOWFLAKE: Final = re.compile(r"\d{17,20}")
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


def phone_number(name: str) -> str:
    """Return the person's number, which is their id where people are known by it."""
    return name if _PHONE.fullmatch(name) else f"4917{zlib.crc32(name.encode()) % 10**9:09d}"


def scoped_user_id(number: str) -> str:
    """Return the user id that a business sees beside a number, or instead of it: a country and digits."""
    return f"DE.{int.from_bytes(hashlib.sha256(number.encode()).digest()[:6]):015d}"


def whatsapp_group_id(name: str) -> str:
    """Return a group's id: opaque, never digits alone."""
    if _GROUP.fullmatch(name):
        return name
    return "Z3JvdXA6" + base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def mattermost_id(*parts: str) -> str:
    """Return an id of the server's form: 26 small letters and digits. One that has it already is kept."""
    if _SERVER_ID.fullmatch(parts[-1]):
        return parts[-1]
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:26]


def discord_id(*parts: str) -> str:
    """Return an id of the platform's form: 18 digits. One that has it already is kept."""
    if _SNOWFLAKE.fullmatch(parts[-1]):
        return parts[-1]
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return str(10**17 + int.from_bytes(digest[:8]) % (9 * 10**17))


@dataclass(frozen=True)
class Ids:
    """How one platform names people, chats and messages.

    `messages`: whether message ids are a count in the chat, the time, hold the time, or are opaque. `threads_fold`: whether replies in a
    thread stand under their root.
    """

    messages: Literal["count", "time", "snowflake", "opaque"] = "opaque"
    threads_fold: bool = False
    group_kind: str = "group"

    def user(self, name: str) -> str:
        """Return the person's id."""
        raise NotImplementedError

    def private_chat(self, channel: str, name: str) -> str:
        """Return the id of the chat of a channel's bot and one person."""
        raise NotImplementedError

    def group_chat(self, name: str, kind: str) -> str:
        """Return a group's id."""
        raise NotImplementedError

    def is_private(self, chat_id: str) -> bool:
        """Return whether an id is that of a private chat."""
        raise NotImplementedError


class _TelegramIds(Ids):
    def user(self, name: str) -> str:
        return telegram_user_id(name)

    def private_chat(self, channel: str, name: str) -> str:
        return telegram_user_id(name)

    def group_chat(self, name: str, kind: str) -> str:
        return telegram_chat_id(name, kind)

    def is_private(self, chat_id: str) -> bool:
        return not chat_id.startswith("-")


class _SlackIds(Ids):
    def user(self, name: str) -> str:
        return slack_user_id(name)

    def private_chat(self, channel: str, name: str) -> str:
        return slack_id("D", channel, name)

    def group_chat(self, name: str, kind: str) -> str:
        return slack_chat_id(name, kind)

    def is_private(self, chat_id: str) -> bool:
        return chat_id.startswith("D")


class _WhatsAppIds(Ids):
    def user(self, name: str) -> str:
        return phone_number(name)

    def private_chat(self, channel: str, name: str) -> str:
        return phone_number(name)

    def group_chat(self, name: str, kind: str) -> str:
        return whatsapp_group_id(name)

    def is_private(self, chat_id: str) -> bool:
        return chat_id.isdecimal()


class _MattermostIds(Ids):
    def user(self, name: str) -> str:
        return mattermost_id("user", name)

    def private_chat(self, channel: str, name: str) -> str:
        return mattermost_id("direct", channel, name)

    def group_chat(self, name: str, kind: str) -> str:
        return mattermost_id("channel", name)

    def is_private(self, chat_id: str) -> bool:
        return False


class _DiscordIds(Ids):
    def user(self, name: str) -> str:
        return discord_id("user", name)

    def private_chat(self, channel: str, name: str) -> str:
        return discord_id("direct", channel, name)

    def group_chat(self, name: str, kind: str) -> str:
        return discord_id("channel", name)

    def is_private(self, chat_id: str) -> bool:
        return False


IDS: Final[dict[str, Ids]] = {
    "telegram": _TelegramIds("count", group_kind="supergroup"),
    "slack": _SlackIds("time", threads_fold=True, group_kind="channel"),
    "whatsapp": _WhatsAppIds(),
    "mattermost": _MattermostIds(threads_fold=True, group_kind="channel"),
    "discord": _DiscordIds("snowflake", group_kind="channel"),
}


def slug(name: str) -> str:
    """Return the name as a username."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "demo"
