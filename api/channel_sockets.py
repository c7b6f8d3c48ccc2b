"""Channels that speak over a connection of ours: which do, and having it opened, opened anew or closed. For api/channels.py."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.connectors import has_socket, transport_of
from db import connections
from db.channels import ChannelRow
from db.connections import Socket
from domain.connection import CONNECTION_CHANGED
from domain.errors import InvalidInputError


def takes_webhooks(channel: ChannelRow) -> bool:
    """Whether the platform is to send webhooks at all."""
    transport = transport_of(channel.platform)
    return transport is None or channel.configuration.get("transport") != transport


def check_transport(platform: str, configuration: Mapping[str, object] | None) -> None:
    """Raise InvalidInputError for a transport that the platform does not offer."""
    offered = ["webhook", transport_of(platform)]
    wanted = (configuration or {}).get("transport", "webhook")
    if wanted not in offered:
        names = ", ".join(one for one in offered if one)
        raise InvalidInputError(f"This platform offers: {names}", details={"field": "channel.configuration.transport"})


async def move_socket(
    conn: AsyncConnection, channel: ChannelRow, configuration: Mapping[str, object] | None = None
) -> bool:
    """Have the connection opened, opened anew or closed, as the channel will say once this transaction is committed.

    `configuration`: the new one, where it changes. Returns whether the channel has a connection now.
    """
    now = has_socket(channel.platform, channel.configuration if configuration is None else configuration)
    if now or has_socket(channel.platform, channel.configuration):
        await connections.tell(conn, Socket(channel.account_id, channel.id, channel.platform), CONNECTION_CHANGED)
    return now
