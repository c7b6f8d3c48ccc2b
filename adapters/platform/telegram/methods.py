"""Where a method of the Bot API is called, and which updates a bot asks for. For the adapter and its connector."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from adapters.base import ChannelContext
from adapters.registry import Outside

UPDATES: Final = (
    "message", "edited_message", "callback_query", "message_reaction", "my_chat_member",
)  # fmt: skip
"""Always named: an omitted list keeps whatever was set before."""


def api_base(outside: Outside) -> str:
    """Return the origin of the Bot API."""
    return (outside.api_base or "https://api.telegram.org").rstrip("/")


def token_of(channel: ChannelContext) -> str:
    """Return the token, quoted, so that no character of a wrong one can change the path or break the request."""
    return quote(channel.credentials.get("bot_token", ""), safe=":")


def method_url(outside: Outside, channel: ChannelContext, method: str) -> str:
    """Return a method's address, which holds the token: it is shown to nobody."""
    return f"{api_base(outside)}/bot{token_of(channel)}/{method}"
