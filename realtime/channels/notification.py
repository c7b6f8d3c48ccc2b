"""NotificationChannel: what one person is told in one account. Colleagues hear nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.events.people import notifications_stream
from domain.permissions import Permission
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import say
from realtime.identity import Identity


class Params(BaseModel):
    """In which account: only one's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    account_id: UUID


class Nothing(BaseModel):
    """An action without data."""

    model_config = ConfigDict(extra="ignore", frozen=True)


async def _ping(caller: Caller[Params], _data: Nothing) -> None:
    say(caller, "pong", server_timestamp=datetime.now(UTC).isoformat())


@register
class NotificationChannel(Channel[Params]):
    """Stream `notifications:{account id}:{user id}`."""

    name = "NotificationChannel"
    params = Params
    permission = Permission.NOTIFICATIONS_READ
    actions = (Action("ping", Nothing, Permission.NOTIFICATIONS_READ, _ping),)

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """One's own, in the account of one's token."""
        if params.account_id != identity.account_id:
            raise RejectedError
        return [notifications_stream(identity.account_id, identity.user_id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet; what came before is read over REST."""
        say(caller, "connection_established", account_id=str(caller.params.account_id))
