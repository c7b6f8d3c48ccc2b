"""Logging in and out. Access tokens live 15 minutes; the refresh token lives in an HttpOnly cookie and rotates."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Cookie, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Desk, Principal, allow
from api.envelope import done
from api.openapi import shows
from api.passwords import password_fits
from api.services import Services
from api.tokens import LIFE, Claims
from db import principals
from domain.errors import AuthenticationError, RateLimitedError
from domain.permissions import Role
from domain.views import View

router = APIRouter(prefix="/api/v1/auth", tags=["auth"])

COOKIE: Final = "powernode_refresh"
FAILURES: Final = 10
WINDOW_S: Final = 60


class UserView(View):
    """Who has logged in."""

    id: UUID
    email: str
    name: str
    role: Role


class AccountView(View):
    """Where they are."""

    id: UUID
    name: str


TOKENS: Final[dict[str, Any]] = {
    "access_token": str,
    "token_type": str,
    "expires_in": int,
    "user": UserView,
    "account": AccountView,
}


class LoginBody(BaseModel):
    """Address and password."""

    model_config = ConfigDict(extra="forbid")
    email: str = Field(max_length=320)
    password: str = Field(min_length=1, max_length=1024)


async def _guard(desk: Services, ip: str) -> None:
    """Refuse an address with too many failed log-ins in the last minute; without Redis there is no such limit."""
    failures = await desk.failures.count(ip)
    if failures >= FAILURES:
        raise RateLimitedError("Too many failed log-ins; wait a minute", retry_after_s=WINDOW_S)


def _answer(desk: Services, response: Response, login: principals.Login) -> dict[str, Any]:
    access, claims = desk.mint.make("access", login.user_id, login.account_id, login.email)
    refresh, _ = desk.mint.make("refresh", login.user_id, login.account_id, login.email)
    response.set_cookie(
        COOKIE,
        refresh,
        max_age=int(LIFE["refresh"].total_seconds()),
        httponly=True,
        secure=desk.settings.base_url().startswith("https"),
        samesite="strict",
        path="/api/v1/auth",
    )
    return done(
        access_token=access,
        token_type="Bearer",  # noqa: S106 - the kind of token, not one
        expires_in=int((claims.expires_at - claims.issued_at).total_seconds()),
        user=UserView(id=login.user_id, email=login.email, name=login.name, role=login.role),
        account=AccountView(id=login.account_id, name=login.account_name),
    )


@router.post("/login", summary="Log in", responses=shows("Login", **TOKENS))
async def login(body: LoginBody, desk: Desk, request: Request, response: Response) -> dict[str, Any]:
    """Returns `data.access_token`; sets the refresh cookie. 401 for a wrong pair, 429 after ten failures a minute."""
    ip = desk.client_ip(request)
    await _guard(desk, ip)
    async with desk.db.open() as conn:
        found = await principals.find_login(conn, body.email)
    if not await password_fits(found.password_hash if found else None, body.password) or found is None:
        await desk.failures.add(ip)
        raise AuthenticationError("Wrong address or password")
    return _answer(desk, response, found)


@router.post("/refresh", summary="Get a new access token", responses=shows("Refresh", **TOKENS))
async def refresh(
    desk: Desk, response: Response, powernode_refresh: Annotated[str | None, Cookie()] = None
) -> dict[str, Any]:
    """Needs the cookie; each refresh token works once."""
    claims = desk.mint.read(powernode_refresh or "", "refresh")
    async with desk.db.open() as conn:
        await principals.hold(conn, claims.token_id)
        member = await principals.open_member(
            conn, claims.user_id, claims.account_id, claims.token_id, claims.issued_at
        )
        found = await principals.find_login(conn, member.email) if member else None
        if found is None or found.account_id != claims.account_id:
            raise AuthenticationError("The token is not valid")
        await principals.revoke(conn, claims.token_id, claims.expires_at)
    return _answer(desk, response, found)


@router.post("/logout", summary="Log out", responses=shows("Logout"))
async def logout(
    desk: Desk,
    response: Response,
    caller: Annotated[Principal, allow(None)],
    powernode_refresh: Annotated[str | None, Cookie()] = None,
) -> dict[str, Any]:
    """Revokes the access token, and the refresh token of the cookie."""
    held: list[Claims] = [caller.claims] if caller.claims else []
    # A cookie that is no good any more must not keep anybody logged in.
    with suppress(AuthenticationError):
        held.append(desk.mint.read(powernode_refresh or "", "refresh"))
    async with desk.db.open() as conn:
        for claims in held:
            await principals.revoke(conn, claims.token_id, claims.expires_at)
    response.delete_cookie(COOKIE, path="/api/v1/auth")
    return done("Logged out")


@router.get(
    "/me",
    summary="Who am I",
    responses=shows("Me", user_id=UUID | None, name=str, email=str | None, account_id=UUID, permissions=list[str]),
)
async def me(caller: Annotated[Principal, allow(None)]) -> dict[str, Any]:
    """Returns the caller and their permissions."""
    return done(
        user_id=str(caller.user_id) if caller.user_id else None,
        name=caller.name,
        email=caller.email,
        account_id=str(caller.account_id),
        permissions=sorted(permission.value for permission in caller.permissions),
    )
