"""CodeFactoryChannel: one run, contract or review of the code factory, or all of the account's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict

from domain.devops_views import FactoryContractView, FactoryRunView, ReviewStateView
from domain.events.base import Event
from domain.events.devops import (
    CodeFactoryContractUpdated,
    CodeFactoryReviewStateUpdated,
    CodeFactoryRunUpdated,
    factory_stream,
)
from domain.permissions import Permission
from realtime.channel import Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.identity import Identity

_KINDS: Final[Mapping[str, tuple[type[Any], type[Event]]]] = {
    "run": (FactoryRunView, CodeFactoryRunUpdated),
    "contract": (FactoryContractView, CodeFactoryContractUpdated),
    "review_state": (ReviewStateView, CodeFactoryReviewStateUpdated),
}


class Params(BaseModel):
    """What to hear of; with the type `account`, `id` is the own account."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["run", "contract", "review_state", "account"]
    id: UUID


@register
class CodeFactoryChannel(Channel[Params]):
    """Stream `code_factory:{type}:{id}`."""

    name = "CodeFactoryChannel"
    params = Params
    permission = Permission.CODE_FACTORY_READ
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """The caller's own account, or a thing of it."""
        if params.type == "account":
            if params.id != identity.account_id:
                raise RejectedError
            return [factory_stream("account", identity.account_id)]
        kind, _ = _KINDS[params.type]
        found = await resources.find(kind, identity.account_id, str(params.id))
        if found is None:
            raise RejectedError
        return [factory_stream(params.type, found.id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Show the thing as it is now; its `version` orders it among the events already on their way."""
        params, account_id = caller.params, caller.identity.account_id
        if params.type == "account":
            return
        kind, event = _KINDS[params.type]
        found = await caller.resources.find(kind, account_id, str(params.id))
        if found is not None:
            now = datetime.now(UTC)
            state = event.model_validate({"timestamp": now, "account_id": account_id, "payload": found})
            caller.transmit(orjson.dumps(state.model_dump(mode="json") | {"is_initial_status": True}))
