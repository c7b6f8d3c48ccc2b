"""What orders of teams' and people's channels do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from api.services import Services
from db import analytics, customers, team_executions
from domain.errors import ConflictError, NotFoundError, PermissionDeniedError
from domain.people import AccountStatus, AnalyticsView, CustomerView
from domain.permissions import Permission
from realtime.commands import Order
from realtime.control import CONTROL_STREAM, Disconnect
from realtime.identity import Identity
from realtime.teamwork import CommandExecution, CountCustomers, ReadAnalytics, SearchCustomers, SetCustomerStatus

Handler = Callable[[Services, Identity, Any], Awaitable[object]]
_ONLY_ADMINS: Final = "Only platform administrators may do this"


async def _command(services: Services, identity: Identity, order: CommandExecution) -> None:
    """Ask something of an execution. Raises NotFoundError, ConflictError, InvalidInputError."""
    async with services.db.account(identity.account_id) as conn:
        aggregate = await team_executions.command(
            conn, order.team_id, order.execution_id, order.command, order.instructions
        )
    services.dispatcher.notify(aggregate)


async def _administers(services: Services, identity: Identity) -> None:
    """Raise PermissionDeniedError unless the person is a platform administrator, now as when the socket was opened."""
    if identity.may(Permission.SYSTEM_ADMIN):
        async with services.db.open() as conn:
            if await customers.is_platform_admin(conn, identity.user_id):
                return
    raise PermissionDeniedError(_ONLY_ADMINS)


async def _search(services: Services, identity: Identity, order: SearchCustomers) -> list[CustomerView]:
    """Find customers. Raises PermissionDeniedError."""
    if order.everywhere:
        await _administers(services, identity)
    who = identity.user_id if order.everywhere else None
    async with services.db.account(identity.account_id) as conn:
        return await customers.search(conn, order.query, status=order.status, plan=order.plan, who=who)


async def _count(services: Services, identity: Identity, order: CountCustomers) -> int:
    """Count customers. Raises PermissionDeniedError."""
    if not order.everywhere:
        return 1
    await _administers(services, identity)
    async with services.db.open() as conn:
        return await customers.count_all(conn, identity.user_id)


async def _set_status(services: Services, identity: Identity, order: SetCustomerStatus) -> CustomerView:
    """Let a customer in, or no longer; its people are sent away. Raises PermissionDeniedError, NotFoundError, ConflictError."""
    await _administers(services, identity)
    if order.customer_id == identity.account_id:
        raise ConflictError("Your own account cannot be shut by you")
    async with services.db.account(order.customer_id) as conn:
        view, aggregate = await customers.set_status(conn, order.status)
    if aggregate is not None:
        services.dispatcher.notify(aggregate)
    if order.status is not AccountStatus.ACTIVE:
        leave = Disconnect({"account_id": str(order.customer_id)}, reconnect=False)
        await services.publisher.publish_transient(CONTROL_STREAM, leave.dump())
    return view


async def _analytics(services: Services, identity: Identity, order: ReadAnalytics) -> AnalyticsView:
    """Count figures. Raises PermissionDeniedError."""
    if not order.everywhere:
        async with services.db.account(identity.account_id) as conn:
            return await analytics.read(conn)
    await _administers(services, identity)
    async with services.db.open() as conn:
        found = await analytics.read_all(conn, identity.user_id)
    if found is None:
        raise NotFoundError(_ONLY_ADMINS)
    return found


HANDLERS: Final[Mapping[type[Order[Any]], Handler]] = {
    CommandExecution: _command,
    CountCustomers: _count,
    ReadAnalytics: _analytics,
    SearchCustomers: _search,
    SetCustomerStatus: _set_status,
}
