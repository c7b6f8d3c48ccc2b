"""Where Discord's API is and as whom we speak to it. Called by the adapter and the connector."""

from __future__ import annotations

from adapters.base import ChannelContext
from adapters.registry import Outside

_AGENT = "DiscordBot (https://docs.discord.com/developers, 0.1)"
"""Asked for in this form: https://docs.discord.com/developers/reference#user-agent."""


def api_base(outside: Outside) -> str:
    """Return the API's base."""
    return f"{(outside.api_base or 'https://discord.com').rstrip('/')}/api/v10"


def token_of(channel: ChannelContext) -> str | None:
    """Return the bot's token; None for one that could not stand in a header."""
    token = channel.credentials.get("bot_token", "")
    return token if token and token.isascii() and token.isprintable() else None


def authorization(channel: ChannelContext) -> dict[str, str]:
    """Return the headers; without a usable token Discord refuses in its own words."""
    token = token_of(channel)
    return {"user-agent": _AGENT} | ({"authorization": f"Bot {token}"} if token else {})
