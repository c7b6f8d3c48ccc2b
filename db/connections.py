"""Sockets of channels as rows: who holds one, where to go on from, and how it stands.

A lease is a number that grows with every holder (a fencing token, Kleppmann, *How to do distributed locking*): who holds an
older one writes nothing any more, and takes none. Called by activities/connections.py, by the sweeper, and by
api/channels.py, which tells the workflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import channel_status, outbox
from db.outbox import Aggregate
from domain.channel import ChannelStatus
from domain.connection import ConnectionState

UNHELD_AFTER: Final = timedelta(seconds=60)
"""A holder shows itself every 15 s (activities/connections.py)."""

_TAKE: Final = text(
    """
    INSERT INTO channel_connections AS c (channel_id, account_id, fence) VALUES (:channel_id, app_account(), :fence)
    ON CONFLICT (channel_id) DO UPDATE SET fence = excluded.fence, state = 'connecting', held_at = now()
    WHERE c.fence < excluded.fence RETURNING position
    """
).columns(position=JSONB)
_KEEP: Final = text(
    """
    UPDATE channel_connections SET held_at = now(), position = COALESCE(CAST(:position AS jsonb), position),
        heard_at = CASE WHEN CAST(:position AS jsonb) IS NULL THEN heard_at ELSE now() END
    WHERE channel_id = :channel_id AND fence = :fence RETURNING 1
    """
)
_MARK: Final = text(
    """
    UPDATE channel_connections SET state = :state, held_at = now(), last_error = COALESCE(:error, last_error),
        last_error_at = CASE WHEN :error IS NULL THEN last_error_at ELSE now() END,
        connected_at = CASE WHEN :state = 'connected' THEN now() ELSE connected_at END
    WHERE channel_id = :channel_id AND fence = :fence RETURNING 1
    """
)
_STATUS: Final = text("SELECT status FROM chat_channels WHERE id = :channel_id FOR UPDATE")
_VERSION: Final = text("SELECT version FROM chat_channels WHERE id = :channel_id")
_UNHELD: Final = text("SELECT account_id, channel_id, platform FROM unheld_connections(:kinds, :older_than, :at_most)")


class LeaseLostError(Exception):
    """Somebody else holds the connection."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to hold a channel's socket, and where to go on from."""

    channel_id: UUID
    fence: int
    position: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Socket:
    """A channel's socket."""

    account_id: UUID
    channel_id: UUID
    platform: str


async def take(conn: AsyncConnection, channel_id: UUID, fence: int) -> Lease:
    """Take the lease; whoever had it writes nothing from here on. Raises LeaseLostError when a newer one was taken.

    `fence`: grows from one holder to the next, also when they are told of their turn out of order.
    """
    row = (await conn.execute(_TAKE, {"channel_id": channel_id, "fence": fence})).one_or_none()
    if row is None:
        raise LeaseLostError
    return Lease(channel_id, fence, row.position)


async def keep(conn: AsyncConnection, lease: Lease, position: Mapping[str, str] | None) -> None:
    """Show that the lease is held, and keep the position when there is a new one. Raises LeaseLostError."""
    values = {
        "channel_id": lease.channel_id,
        "fence": lease.fence,
        "position": None if position is None else orjson.dumps(dict(position)).decode(),
    }
    if (await conn.execute(_KEEP, values)).one_or_none() is None:
        raise LeaseLostError


async def mark(
    conn: AsyncConnection,
    account_id: UUID,
    lease: Lease,
    state: ConnectionState,
    *,
    status: ChannelStatus | None,
    error: str | None = None,
) -> Aggregate | None:
    """Say how the connection stands; with `status` the channel too, unless somebody disconnected it meanwhile.

    Returns whose outbox rows wait. Raises LeaseLostError.
    """
    standing = (await conn.execute(_STATUS, {"channel_id": lease.channel_id})).scalar_one_or_none()
    values = {"channel_id": lease.channel_id, "fence": lease.fence, "state": state.value, "error": error}
    if (await conn.execute(_MARK, values)).one_or_none() is None:
        raise LeaseLostError
    if status is None or standing == ChannelStatus.DISCONNECTED:
        return None
    return await channel_status.change(conn, account_id, lease.channel_id, status, error=error)


async def tell(conn: AsyncConnection, socket: Socket, signal: str) -> Aggregate:
    """Leave a signal to the connection's workflow in the outbox."""
    version = (await conn.execute(_VERSION, {"channel_id": socket.channel_id})).scalar_one_or_none() or 0
    aggregate = outbox.channel_aggregate(socket.account_id, socket.channel_id)
    data: dict[str, object] = {"channel_id": str(socket.channel_id), "platform": socket.platform, "version": version}
    await outbox.write(conn, aggregate, version, [outbox.signal_row(signal, data)], "")
    return aggregate


async def unheld(conn: AsyncConnection, kinds: Sequence[str], at_most: int = 100) -> list[Socket]:
    """Return channels of all accounts that should have a connection and show no sign of one for a minute.

    `kinds`: `platform`, or `platform:transport`. Without those that were refused: these wait for a person.
    """
    values = {"kinds": list(kinds), "older_than": UNHELD_AFTER, "at_most": at_most}
    return [Socket(row.account_id, row.channel_id, row.platform) for row in await conn.execute(_UNHELD, values)]
