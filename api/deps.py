"""What routes depend on: the services, the caller, and the permission that each route must declare.

`allow(Permission.X)` is the only way for a route to know its caller; `check_routes` refuses to start an app with a
route that declares none and is not listed as public.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.services import Services
from api.tokens import Claims
from db import principals
from db.accounts import SERVICE_TOKEN_PREFIX
from domain.errors import AuthenticationError, PermissionDeniedError
from domain.permissions import Permission
from realtime.identity import Identity

PUBLIC: Final = frozenset(
    {
        "/healthz",
        "/metrics",
        "/readyz",
        "/api/v1/health",
        "/api/v1/auth/login",
        "/api/v1/auth/refresh",
        "/api/v1/chat/attachments/{attachment_id}/download",
        "/api/v1/chat/webhooks/{token}",
        "/api/v1/git/webhooks/{token}",
    }
)
"""Routes without a caller: health, login, metrics (a token of their own), webhooks and links to files, which prove
themselves by signature.
"""

_bearer = HTTPBearer(auto_error=False, description="An access token from login, or a service token")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and in which account. `claims` is None for a service, which may publish to streams that begin
    with one of `stream_prefixes`.
    """

    account_id: UUID
    user_id: UUID | None
    name: str
    email: str | None
    permissions: frozenset[Permission]
    claims: Claims | None = None
    stream_prefixes: tuple[str, ...] = ()

    def may_publish_to(self, stream: str) -> bool:
        """Whether a stream, if it is the account's, is within what the caller may publish to; people may all."""
        return self.user_id is not None or stream.startswith(self.stream_prefixes)


def principal(identity: Identity) -> Principal:
    """Return a person at a socket as the routes know them."""
    permissions = frozenset(Permission(name) for name in identity.permissions)
    return Principal(identity.account_id, identity.user_id, identity.name, identity.email, permissions)


def services(request: Request) -> Services:
    """Return the process's services."""
    found: Services = request.app.state.services
    return found


async def authenticate(desk: Services, token: str) -> Principal:
    """Find out who a bearer token belongs to, by one look at the database. Raises AuthenticationError."""
    if token.startswith(SERVICE_TOKEN_PREFIX):
        async with desk.db.open() as conn:
            service = await principals.open_service(conn, token)
        if service is None:
            raise AuthenticationError("The token is not valid")
        prefixes = service.stream_prefixes
        return Principal(service.account_id, None, service.name, None, service.permissions, stream_prefixes=prefixes)
    claims = desk.mint.read(token, "access")
    async with desk.db.open() as conn:
        member = await principals.open_member(
            conn, claims.user_id, claims.account_id, claims.token_id, claims.issued_at
        )
    if member is None:
        raise AuthenticationError("The token is not valid")
    return Principal(claims.account_id, claims.user_id, member.name, member.email, member.permissions, claims)


class Allow:
    """A dependency that admits callers with a permission; None admits every authenticated caller."""

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    async def __call__(
        self,
        desk: Annotated[Services, Depends(services)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        """Return the caller. Raises AuthenticationError, PermissionDeniedError."""
        if bearer is None:
            raise AuthenticationError
        principal = await authenticate(desk, bearer.credentials)
        if self.permission is not None and self.permission not in principal.permissions:
            raise PermissionDeniedError(f"This needs the permission {self.permission.value}")
        return principal


def allow(permission: Permission | None) -> Any:
    """Declare what a route needs of its caller."""
    return Depends(Allow(permission))


Desk = Annotated[Services, Depends(services)]


def declared(route: APIRoute) -> Allow | None:
    """Return what a route declares."""
    calls: list[Callable[..., Any] | Coroutine[Any, Any, Any] | None] = [
        dependency.call for dependency in route.dependant.dependencies
    ]
    return next((call for call in calls if isinstance(call, Allow)), None)


def api_routes(routers: Iterable[APIRouter]) -> list[APIRoute]:
    """Return all routes of routers; the app's own list nests them in a way that is FastAPI's business."""
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def check_routes(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Refuse an app with a route that neither declares a permission nor is public. Raises RuntimeError."""
    routes = api_routes(routers)
    for route in routes:
        if declared(route) is None and route.path not in PUBLIC:
            raise RuntimeError(f"{route.path} declares no permission")
    unchecked = set(app.openapi()["paths"]) - {route.path for route in routes}
    if unchecked:
        raise RuntimeError(f"routes that nobody checked: {', '.join(sorted(unchecked))}")
