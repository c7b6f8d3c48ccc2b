"""Tokens of programs: make, list, revoke. A token is shown once; only its hash is kept."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from db import accounts, service_tokens
from db.principals import service_token_hash
from domain.devops_views import ServiceTokenView
from domain.errors import PermissionDeniedError
from domain.permissions import Permission
from domain.sanitize import storable

router = APIRouter(prefix="/api/v1/service_tokens", tags=["operations"])

Manager = Annotated[Principal, allow(Permission.OPERATIONS_MANAGE)]
Prefix = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(storable)]


class TokenFields(BaseModel):
    """What a token may do, and, for publishing, with which beginnings its streams must begin."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, AfterValidator(storable)] = Field(min_length=1, max_length=100)
    permissions: set[Permission] = Field(min_length=1)
    stream_prefixes: list[Prefix] = Field(default_factory=list, max_length=50)


class TokenBody(BaseModel):
    """A new token."""

    model_config = ConfigDict(extra="forbid")
    service_token: TokenFields


@router.get("", summary="List service tokens", responses=listed("ServiceTokens", ServiceTokenView))
async def listing(desk: Desk, caller: Manager, query: Annotated[PageQuery, Depends()]) -> dict[str, Any]:
    """Those that are valid first. The tokens themselves are known to nobody but their holders."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await service_tokens.listing(conn, limit=query.per_page, offset=query.offset)
    return page(items, total, query)


@router.post(
    "",
    status_code=201,
    summary="Create a service token",
    responses=shows("ServiceTokenCreated", 201, service_token=ServiceTokenView, token=str),
)
async def create(body: TokenBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """`token` is shown now and never again. Nobody gives what they do not have: permissions, and prefixes of streams."""
    fields = body.service_token
    lacking = sorted(permission.value for permission in fields.permissions - caller.permissions)
    if lacking:
        raise PermissionDeniedError(f"You do not have {', '.join(lacking)} yourself")
    beyond = [prefix for prefix in fields.stream_prefixes if not caller.may_publish_to(prefix)]
    if beyond:
        raise PermissionDeniedError(f"You may not publish to {', '.join(beyond)} yourself")
    async with desk.db.account(caller.account_id) as conn:
        token = await accounts.create_service_token(
            conn,
            caller.account_id,
            name=fields.name,
            permissions=sorted(fields.permissions),
            stream_prefixes=fields.stream_prefixes,
        )
        view = await service_tokens.by_hash(conn, service_token_hash(token))
    return done(service_token=view, token=token)


@router.delete(
    "/{service_token_id}",
    summary="Revoke a service token",
    responses=shows("ServiceTokenRevoked", service_token=ServiceTokenView),
)
async def revoke(service_token_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """It is refused from now on. A repeat changes nothing."""
    async with desk.db.account(caller.account_id) as conn:
        return done(service_token=await service_tokens.revoke(conn, service_token_id))
