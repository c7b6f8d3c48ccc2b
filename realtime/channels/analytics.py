"""AnalyticsChannel: figures of one's own account; of all accounts for platform administrators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.errors import PermissionDeniedError
from domain.events.people import ALL_ANALYTICS, analytics_stream
from domain.permissions import Permission
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import say
from realtime.identity import Identity
from realtime.teamwork import ReadAnalytics


class Params(BaseModel):
    """One's own account; none for all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    account_id: UUID | None = None


class Request(BaseModel):
    """Of which account; the subscription's own if not said."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    account_id: UUID | None = None


async def _request(caller: Caller[Params], data: Request) -> None:
    own = caller.identity.account_id
    if data.account_id not in {None, own}:
        raise PermissionDeniedError("These figures are not yours")
    everywhere = data.account_id is None and caller.params.account_id is None
    view = await caller.commands.run(caller.identity, ReadAnalytics(everywhere=everywhere))
    figures = view.model_dump(mode="json") | {"timestamp": datetime.now(UTC).isoformat()}
    say(caller, "analytics_update", account_id=figures["account_id"], data=figures)


@register
class AnalyticsChannel(Channel[Params]):
    """Streams `analytics_account_{account id}`, `analytics_global`."""

    name = "AnalyticsChannel"
    params = Params
    permission = Permission.ANALYTICS_VIEW
    actions = (Action("request_analytics", Request, Permission.ANALYTICS_VIEW, _request),)

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """One's own account; all of them for platform administrators."""
        if params.account_id == identity.account_id:
            return [analytics_stream(identity.account_id)]
        if params.account_id is None and identity.may(Permission.SYSTEM_ADMIN):
            return [ALL_ANALYTICS]
        raise RejectedError

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet; figures are counted when they are asked for."""
        say(caller, "analytics_connection_established", message="Connected to analytics")
