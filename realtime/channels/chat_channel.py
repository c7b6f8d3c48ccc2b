"""ChatChannelChannel: one connected platform account for operators, its status and its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.events.chat import ChannelStatusChange, channel_stream
from domain.permissions import Permission
from domain.views import ChannelSummaryView
from realtime.channel import Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet, show_initial
from realtime.identity import Identity


class Params(BaseModel):
    """Which channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    channel_id: UUID


@register
class ChatChannelChannel(Channel[Params]):
    """Stream `chat_channel_{id}`."""

    name = "ChatChannelChannel"
    params = Params
    permission = Permission.CHANNELS_READ
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Any channel of the caller's account."""
        found = await resources.find(ChannelSummaryView, identity.account_id, str(params.channel_id))
        if found is None:
            raise RejectedError
        return [channel_stream(found.id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet, then show the channel as it is now; its `version` orders it among the events already on their way."""
        greet(caller, channel_id=str(caller.params.channel_id))
        view = await caller.resources.find(
            ChannelSummaryView, caller.identity.account_id, str(caller.params.channel_id)
        )
        if view is not None:
            event = ChannelStatusChange(
                channel_id=view.id, status=view.status, channel=view, timestamp=datetime.now(UTC)
            )
            show_initial(caller, event)
