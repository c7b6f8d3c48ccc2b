"""Channels by webhook token, remembered so that a webhook need not wait for a look-up before it is verified.

Never trusted alone: what is remembered may be old. A refusal is only given after the channel was read again, and a
message is only stored if the channel's version is still the remembered one (`flow.ingest_message`). So a rotated secret
or a deleted channel takes effect at once, in every process.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from db.channels import ChannelRow, find_channel, token_hash
from db.session import Database

KEPT: Final = 5_000


class KnownChannels:
    """One per process. Shape: hash of the token -> channel, its credentials sealed."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._channels: OrderedDict[bytes, ChannelRow] = OrderedDict()

    def remembered(self, token: str) -> ChannelRow | None:
        """Return what was last read of a channel; None when it never was."""
        return self._channels.get(token_hash(token))

    async def read(self, token: str) -> ChannelRow | None:
        """Read a channel and remember it; None for an unknown token. Raises UnavailableError."""
        channel = await find_channel(self._db, token)
        key = token_hash(token)
        self._channels.pop(key, None)
        if channel is not None:
            self._channels[key] = channel
            if len(self._channels) > KEPT:
                self._channels.popitem(last=False)
        return channel
