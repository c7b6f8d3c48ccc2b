"""AiConversationsListChannel: which AI conversations an account has; told when one begins and when its status changes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from domain.events.conversations import conversations_list_stream
from domain.permissions import Permission
from realtime.channel import Caller, Channel, Resources, register
from realtime.greeting import greet
from realtime.identity import Identity


class Params(BaseModel):
    """Nothing: it is the caller's account."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@register
class AiConversationsListChannel(Channel[Params]):
    """Stream `ai_conversations_list:account_{id}` of the caller's account."""

    name = "AiConversationsListChannel"
    params = Params
    permission = Permission.CONVERSATIONS_READ
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """The caller's own account."""
        return [conversations_list_stream(identity.account_id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet."""
        greet(caller, channel="ai_conversations_list")
