"""Repositories whose platforms tell us of their pipelines: register, list, renew the keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from api.services import Services
from db import git_repositories
from db.git_repositories import Keys
from domain.devops_views import GitRepositoryView
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/git/repositories", tags=["devops"])

Reader = Annotated[Principal, allow(Permission.PIPELINES_READ)]
Manager = Annotated[Principal, allow(Permission.PIPELINES_MANAGE)]


class RepositoryFields(BaseModel):
    """A repository by its platform and its full name, `owner/name`."""

    model_config = ConfigDict(extra="forbid")
    provider: Literal["github", "gitea"]
    full_name: str = Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", max_length=200)


class RepositoryBody(BaseModel):
    """A new repository."""

    model_config = ConfigDict(extra="forbid")
    repository: RepositoryFields


def _shown(desk: Services, view: GitRepositoryView, keys: Keys) -> dict[str, Any]:
    url = f"{desk.settings.base_url()}/api/v1/git/webhooks/{keys.token}"
    return done(repository=view, webhook_url=url, webhook_secret=keys.secret)


@router.get("", summary="List repositories", responses=listed("GitRepositories", GitRepositoryView))
async def listing(desk: Desk, caller: Reader, query: Annotated[PageQuery, Depends()]) -> dict[str, Any]:
    """By name."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await git_repositories.listing(conn, limit=query.per_page, offset=query.offset)
    return page(items, total, query)


@router.post(
    "",
    status_code=201,
    summary="Register a repository",
    responses=shows("GitRepositoryCreated", 201, repository=GitRepositoryView, webhook_url=str, webhook_secret=str),
)
async def create(body: RepositoryBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Give its platform the address and the secret, which are shown now and never again; content type JSON, events
    `workflow_run` and `workflow_job`. 409 when it is registered already.
    """
    fields = body.repository
    async with desk.db.account(caller.account_id) as conn:
        view, keys = await git_repositories.create(conn, desk.box, fields.provider, fields.full_name)
    return _shown(desk, view, keys)


@router.get(
    "/{repository_id}", summary="Show a repository", responses=shows("GitRepository", repository=GitRepositoryView)
)
async def show(repository_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """When its platform was last heard of, and how many webhooks we had no use for."""
    async with desk.db.account(caller.account_id) as conn:
        return done(repository=await git_repositories.get(conn, repository_id))


@router.post(
    "/{repository_id}/renew",
    summary="Renew a repository's address and secret",
    responses=shows("GitRepositoryRenewed", repository=GitRepositoryView, webhook_url=str, webhook_secret=str),
)
async def renew(repository_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The old address is unknown from now on."""
    async with desk.db.account(caller.account_id) as conn:
        view, keys = await git_repositories.renew(conn, desk.box, repository_id)
    return _shown(desk, view, keys)
