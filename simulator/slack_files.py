"""Slack's external upload: an address, the bytes, the completion that shows the file; and what `files.info` says of it.

https://docs.slack.dev/messaging/working-with-files and the three methods' pages; `files.getUploadURLExternal` takes no JSON. The
completion's answer names no message; the message is told of as `file_share`. Called by slack.py.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Final, cast

from simulator.args import Args
from simulator.bot_files import BotFiles, GivenFile
from simulator.records import Json
from simulator.slack_text import SlackError

_KINDS: Final = {"image", "audio", "video"}


@dataclass(slots=True)
class Pending:
    """A file on its way. `shares`: channel → time stamps of the messages that show it."""

    id: str
    channel: str
    name: str
    length: int
    file: Json | None = None
    shares: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


class SlackFiles:
    """All uploads of one simulator."""

    def __init__(self, files: BotFiles) -> None:
        self._files = files
        self._numbers = itertools.count(1)
        self._pending: dict[str, Pending] = {}

    def begin(self, channel: str, args: Args, origin: str) -> Json:
        """Return an address and an id. Raises SlackError."""
        name, length = args.text("filename"), args.number("length")
        if not name or not length or length < 1:
            raise SlackError("invalid_arguments")
        made = f"F{next(self._numbers):08d}"
        self._pending[made] = Pending(made, channel, name, length)
        return {"upload_url": f"{origin}/slack/upload/{made}", "file_id": made}

    def take(self, file_id: str, given: GivenFile) -> bool:
        """Keep the bytes; False where nobody announced so many."""
        pending = self._pending.get(file_id)
        if pending is None or len(given.content) != pending.length:
            return False
        pending.file = self._files.keep(GivenFile(pending.name, given.mime, given.content)) | {"id": file_id}
        return True

    def complete(self, channel: str, args: Args) -> Pending:
        """Return the one file that is to be shown. Raises SlackError."""
        listed = args.items("files") or []
        first = cast("Json", listed[0]) if listed and isinstance(listed[0], dict) else {}
        pending = self._pending.get(str(first.get("id")))
        if len(listed) != 1 or pending is None or pending.channel != channel or pending.file is None:
            raise SlackError("file_not_found")
        pending.file["name"] = str(first.get("title") or pending.name)
        return pending

    def info(self, channel: str, args: Args) -> Json:
        """Return a file with where it is shared. Raises SlackError."""
        pending = self._pending.get(args.text("file") or "")
        if pending is None or pending.channel != channel or not pending.shares:
            raise SlackError("file_not_found")
        shares = {chat: [{"ts": ts} for ts in stamps] for chat, stamps in pending.shares.items()}
        return file_object(pending.file or {}) | {"shares": {"private": shares}}


def file_object(file: Json) -> Json:
    """Return a file as messages and `files.info` show it."""
    return {
        "id": file["id"],
        "name": file["name"],
        "title": file["name"],
        "mimetype": file["mime"],
        "size": file["size"],
        "mode": "hosted",
    }


def kind_of(file: Json) -> str:
    """Return as what a phone shows a file."""
    kind = str(file["mime"]).partition("/")[0]
    return kind if kind in _KINDS else "document"
