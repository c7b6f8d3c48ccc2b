"""Where a channel's Mattermost server is, and with which token we speak to it. Called by the adapter and the connector.

The address is a tenant's own word, so what can never be a server of theirs is refused: our own machine and the
link-local range, where clouds keep their secrets. Redirects are never followed.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from adapters.base import ChannelContext

_NOWHERE = "http://invalid."


def unsafe(channel: ChannelContext, foreign_base: str | None) -> str | None:
    """Return what is wrong with the address, in words; None where it may be used."""
    if foreign_base is not None:
        return None
    try:
        parts = urlsplit(channel.credentials.get("site_url", ""))
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "The server's address cannot be read; give it as in the browser, https://…"
    if parts.scheme not in {"https", "http"} or not host or parts.username or parts.query or parts.fragment:
        return "The server's address is not one of a website; give it as in the browser, https://…"
    if host == "localhost" or host.endswith((".localhost", ".internal")) or _is_ours(host):
        return "The server's address leads to this machine or into its cloud's inside; that is not allowed"
    return None


def api_base(channel: ChannelContext, foreign_base: str | None) -> str:
    """Return the API's base; one that cannot be reached where the address may not be used."""
    if unsafe(channel, foreign_base) is not None:
        return _NOWHERE
    site = foreign_base if foreign_base is not None else channel.credentials.get("site_url", "")
    return f"{site.rstrip('/')}/api/v4"


def bearer(channel: ChannelContext) -> dict[str, str]:
    """Return the header; a token that could not stand in one is sent as none at all, and refused by the server."""
    token = channel.credentials.get("bot_token", "")
    return {"authorization": f"Bearer {token}"} if token.isascii() and token.isprintable() and token else {}


def _is_ours(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Numbers that a resolver would read as an address: 2130706433, 0x7f.1 and the like.
        return host.replace(".", "").isdigit() or host.startswith("0x")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or mapped.is_multicast
