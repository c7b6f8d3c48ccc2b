"""A channel opened for use: its adapter, and its credentials in the clear for as long as a call needs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from activities.dispatch import Dispatcher
from adapters.base import ChannelContext, PlatformAdapter
from adapters.registry import Platforms
from db import channel_status
from db.channels import ChannelRow, pause_sending
from db.credentials import CredentialBox
from db.session import Database
from domain.channel import ChannelStatus


@dataclass
class ChannelDesk:
    """Opens channels for activities and for the api; and writes what using them taught us. `base_url`: where we are reached."""

    db: Database
    platforms: Platforms
    box: CredentialBox
    dispatcher: Dispatcher
    base_url: str | None = None

    def open(self, channel: ChannelRow) -> tuple[PlatformAdapter, ChannelContext]:
        """Return a channel's adapter and context. Raises CredentialKeyError when its credentials cannot be opened."""
        context = ChannelContext(
            channel_id=str(channel.id),
            credentials=self.box.open(channel.id, channel.credentials),
            configuration=channel.configuration,
            identity=channel.identity,
            webhook_url=self.base_url and f"{self.base_url}/api/v1/chat/webhooks/{channel.webhook_token}",
        )
        return self.platforms.get(channel.platform), context

    async def pause(self, channel: ChannelRow, seconds: float) -> None:
        """Keep a platform's wait on the channel's row."""
        async with self.db.account(channel.account_id) as conn:
            await pause_sending(conn, channel.id, datetime.now(UTC) + timedelta(seconds=seconds))

    async def broken(self, channel: ChannelRow, reason: str) -> None:
        """Mark a channel whose credentials the platform refuses; told once to who watches."""
        async with self.db.account(channel.account_id) as conn:
            aggregate = await channel_status.change(
                conn, channel.account_id, channel.id, ChannelStatus.ERROR, error=reason
            )
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
