"""Slack's inbound text encoding: `<…>` references and three entities become plain words. Called by parsing.py."""

from __future__ import annotations

import re
from typing import Final

_REFERENCE: Final = re.compile(r"<([^<>]+)>")
_USER: Final = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")


def mentioned_users(text: str) -> list[str]:
    """Return the ids of the users named in the text, in order."""
    return _USER.findall(text)


def decode(text: str, own_user: str | None) -> str:
    """Return the text as its author saw it; a leading mention of us is an address, not content, and goes."""
    if own_user:
        text = re.sub(rf"^\s*<@{re.escape(own_user)}(?:\|[^<>]*)?>[\s,:]*", "", text)
    words = _REFERENCE.sub(lambda found: _spell(found.group(1)), text)
    return words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _spell(reference: str) -> str:
    target, bar, label = reference.partition("|")
    if target.startswith(("@", "#")):
        return target[0] + (label or target[1:]).removeprefix(target[0])
    if target.startswith("!"):
        return _special(target[1:], label)
    address = target.removeprefix("mailto:").removeprefix("tel:")
    if not bar or label in {target, address} or re.sub("^https?://", "", target).rstrip("/") == label:
        return label if bar and address != target else address
    return f"{label} ({target})"


def _special(name: str, label: str) -> str:
    if label:
        return label if name.startswith("date") else "@" + label.removeprefix("@")
    return "@" + name.partition("^")[0]
