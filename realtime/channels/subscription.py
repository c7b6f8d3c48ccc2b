"""SubscriptionChannel: the account's subscription to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.events.people import SubscriptionUpdated, subscription_stream
from domain.people import SubscriptionView
from domain.permissions import Permission
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import say
from realtime.identity import Identity


class Params(BaseModel):
    """Of which account: only one's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    account_id: UUID


class Nothing(BaseModel):
    """An action without data."""

    model_config = ConfigDict(extra="ignore", frozen=True)


async def _read(caller: Caller[Params]) -> SubscriptionView | None:
    account_id = caller.identity.account_id
    return await caller.resources.find(SubscriptionView, account_id, str(account_id))


async def _status(caller: Caller[Params], _data: Nothing) -> None:
    view = await _read(caller)
    subscription = None if view is None else view.model_dump(mode="json")
    say(caller, "subscription_status", account_id=str(caller.identity.account_id), subscription=subscription)


async def _refresh(caller: Caller[Params], _data: Nothing) -> None:
    event = SubscriptionUpdated(
        account_id=caller.identity.account_id, subscription=await _read(caller), timestamp=datetime.now(UTC)
    )
    caller.transmit(event.model_dump_json().encode())
    await caller.broadcast(caller.streams[0], event.model_dump_json().encode())


@register
class SubscriptionChannel(Channel[Params]):
    """Stream `account_subscription_{account id}`."""

    name = "SubscriptionChannel"
    params = Params
    permission = Permission.SUBSCRIPTIONS_READ
    actions = (
        Action("get_status", Nothing, Permission.SUBSCRIPTIONS_READ, _status),
        Action("refresh_subscriptions", Nothing, Permission.SUBSCRIPTIONS_READ, _refresh),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """One's own account's."""
        if params.account_id != identity.account_id:
            raise RejectedError
        return [subscription_stream(identity.account_id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Show the subscription as it is now; null where the account has none."""
        await _status(caller, Nothing())
