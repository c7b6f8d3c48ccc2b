"""TeamChannelChannel: the messages of one channel of a team of agents."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.events.teams import team_channel_stream
from domain.permissions import Permission
from domain.teams import TeamChannelView
from realtime.channel import Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet
from realtime.identity import Identity


class Params(BaseModel):
    """Which channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    channel_id: UUID


@register
class TeamChannelChannel(Channel[Params]):
    """Stream `team_channel:{id}`."""

    name = "TeamChannelChannel"
    params = Params
    permission = Permission.TEAMS_READ
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Any channel of a team of the caller's account."""
        found = await resources.find(TeamChannelView, identity.account_id, str(params.channel_id))
        if found is None:
            raise RejectedError
        return [team_channel_stream(found.id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet; what was said before is read over REST."""
        greet(caller, channel="team_channel", channel_id=str(caller.params.channel_id))
