"""CustomerChannel: accounts as customers. One's own for its administrators; all for platform administrators.

Which of both a subscription is about is said by its params, and so is what it can search: with an account it is that one,
without any it is all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.errors import PowernodeError
from domain.events.people import ALL_CUSTOMERS, customer_stream
from domain.people import AccountStatus
from domain.permissions import Permission
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import say
from realtime.identity import Identity
from realtime.teamwork import CountCustomers, SearchCustomers, SetCustomerStatus

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class Params(BaseModel):
    """One's own account; none for all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    account_id: UUID | None = None


class Filters(BaseModel):
    """What else a customer must have."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    status: AccountStatus | None = None
    plan: Words | None = None


class Search(BaseModel):
    """Part of a name."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    query: Words = ""
    filters: Filters = Field(default_factory=Filters)


class Change(BaseModel):
    """Whose status becomes what."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    customer_id: UUID
    status: AccountStatus


class Nothing(BaseModel):
    """An action without data."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _everywhere(caller: Caller[Params]) -> bool:
    return caller.params.account_id is None


async def _search(caller: Caller[Params], data: Search) -> None:
    order = SearchCustomers(data.query, data.filters.status, data.filters.plan, everywhere=_everywhere(caller))
    found = await caller.commands.run(caller.identity, order)
    say(caller, "search_results", query=data.query, results=[view.model_dump(mode="json") for view in found])


async def _change(caller: Caller[Params], data: Change) -> None:
    customer_id = str(data.customer_id)
    try:
        view = await caller.commands.run(caller.identity, SetCustomerStatus(data.customer_id, data.status))
    except PowernodeError as error:
        say(caller, "update_error", customer_id=customer_id, error=error.message)
    else:
        say(caller, "update_success", customer_id=customer_id, customer=view.model_dump(mode="json"))


async def _ping(caller: Caller[Params], _data: Nothing) -> None:
    count = await caller.commands.run(caller.identity, CountCustomers(everywhere=_everywhere(caller)))
    say(caller, "pong", server_timestamp=datetime.now(UTC).isoformat(), customer_count=count)


@register
class CustomerChannel(Channel[Params]):
    """Streams `customer_updates_{account id}`, `customer_updates_global`."""

    name = "CustomerChannel"
    params = Params
    permission = Permission.CUSTOMERS_READ
    actions = (
        Action("search", Search, Permission.CUSTOMERS_READ, _search),
        Action("update_customer_status", Change, Permission.CUSTOMERS_MANAGE, _change),
        Action("ping", Nothing, Permission.CUSTOMERS_READ, _ping),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """One's own account; all of them for platform administrators."""
        if params.account_id == identity.account_id:
            return [customer_stream(identity.account_id)]
        if params.account_id is None and identity.may(Permission.SYSTEM_ADMIN):
            return [ALL_CUSTOMERS]
        raise RejectedError

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet."""
        account_id = caller.params.account_id
        say(caller, "connection_established", account_id=None if account_id is None else str(account_id))
