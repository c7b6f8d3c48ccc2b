"""Where a channel's Mattermost server is, how it is reached, and with which token. Used by the adapter and the connector.

The address is a tenant's own word, so it leads nowhere private: what it says is checked here, and the address that its name
has is checked where the connection is made (adapters/guard.py). A server of one's own inside of a private network is named in
`POWERNODE_ALLOWED_PRIVATE_HOSTS`, and where `POWERNODE_PLATFORM_API_BASE` says where to go, that is an operator's word.
Redirects are never followed.
"""

from __future__ import annotations

import socket
from typing import Final

from adapters.base import ChannelContext
from adapters.guard import WayOut, check_url, way_out
from adapters.registry import Outside
from domain.errors import ForbiddenAddressError

_NOWHERE: Final = "http://invalid."
_UNREADABLE: Final = "The server's address is not one of a website; give it as in the browser, https://…"


def forbidden(why: str) -> str:
    """Return what to say of an address to which we do not go. `why`: the guard's words."""
    return (
        f"The server's address is not allowed: {why}. Give a public one as in the browser, https://…; "
        "one of your own network has to be named in POWERNODE_ALLOWED_PRIVATE_HOSTS"
    )


class Site:
    """The way to the servers of all channels."""

    def __init__(self, outside: Outside) -> None:
        self._foreign_base = outside.api_base
        self._way: WayOut | None = None if outside.api_base is not None else outside.tenants or way_out()
        self.http = outside.http if self._way is None else self._way.http

    def unsafe(self, channel: ChannelContext) -> str | None:
        """Return what is wrong with the address, in words; None where it may be tried."""
        if self._way is None:
            return None
        try:
            read = check_url(channel.credentials.get("site_url", ""), self._way.guard.allowed)
        except ForbiddenAddressError as error:
            return forbidden(error.message)
        return _UNREADABLE if "%" in read.host or read.query or read.fragment else None

    def base(self, channel: ChannelContext) -> str:
        """Return the API's base; one that cannot be reached where the address may not be used."""
        if self.unsafe(channel) is not None:
            return _NOWHERE
        site = self._foreign_base if self._foreign_base is not None else channel.credentials.get("site_url", "")
        return f"{site.rstrip('/')}/api/v4"

    async def socket(self, channel: ChannelContext) -> socket.socket | None:
        """Return a connection to the server, for its WebSocket; None: an operator named the server, go there.

        Raises ForbiddenAddressError and OSError.
        """
        return None if self._way is None else await self._way.socket(self.base(channel))


def bearer(channel: ChannelContext) -> dict[str, str]:
    """Return the header; a token that could not stand in one is sent as none at all, and refused by the server."""
    token = channel.credentials.get("bot_token", "")
    return {"authorization": f"Bearer {token}"} if token.isascii() and token.isprintable() and token else {}
