"""MissionChannel: one mission, or all of an account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.events.missions import MissionStatusChanged, StatusPayload, account_missions_stream, mission_stream
from domain.missions import MissionView
from domain.permissions import Permission
from realtime.channel import Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import show_initial
from realtime.identity import Identity


class Params(BaseModel):
    """Of what: a mission by its id, or all of an account by the account's."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["mission", "account"]
    id: UUID


@register
class MissionChannel(Channel[Params]):
    """Streams `mission:mission:{id}`, `mission:account:{account id}`."""

    name = "MissionChannel"
    params = Params
    permission = Permission.MISSIONS_READ
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Any mission of the caller's account, or that account."""
        if params.type == "account":
            if params.id != identity.account_id:
                raise RejectedError
            return [account_missions_stream(identity.account_id)]
        found = await resources.find(MissionView, identity.account_id, str(params.id))
        if found is None:
            raise RejectedError
        return [mission_stream(found.id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Show the mission as it is now; of an account's missions the REST list does."""
        if caller.params.type == "account":
            return
        account_id = caller.identity.account_id
        view = await caller.resources.find(MissionView, account_id, str(caller.params.id))
        if view is not None:
            payload = StatusPayload(
                mission_id=view.id, mission=view, status=view.status, current_phase=view.current_phase
            )
            show_initial(
                caller, MissionStatusChanged(account_id=account_id, payload=payload, timestamp=datetime.now(UTC))
            )
