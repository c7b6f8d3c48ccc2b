"""The code factory's runs, contracts and reviews: read."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from db import code_factory
from domain.devops_views import FactoryContractView, FactoryRunView, ReviewStateView
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/ai/code_factory", tags=["code_factory"])

Reader = Annotated[Principal, allow(Permission.CODE_FACTORY_READ)]
Page = Annotated[PageQuery, Depends()]


@router.get("/runs", summary="List code factory runs", responses=listed("FactoryRuns", FactoryRunView))
async def runs(desk: Desk, caller: Reader, query: Page) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await code_factory.listing(conn, FactoryRunView, limit=query.per_page, offset=query.offset)
    return page(*found, query)


@router.get("/runs/{factory_run_id}", summary="Show a run", responses=shows("FactoryRun", run=FactoryRunView))
async def run(factory_run_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """How it stands."""
    async with desk.db.account(caller.account_id) as conn:
        return done(run=await code_factory.get(conn, FactoryRunView, factory_run_id))


@router.get("/contracts", summary="List contracts", responses=listed("FactoryContracts", FactoryContractView))
async def contracts(desk: Desk, caller: Reader, query: Page) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await code_factory.listing(conn, FactoryContractView, limit=query.per_page, offset=query.offset)
    return page(*found, query)


@router.get(
    "/contracts/{factory_contract_id}",
    summary="Show a contract",
    responses=shows("FactoryContract", contract=FactoryContractView),
)
async def contract(factory_contract_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """What is to be built, and how that stands."""
    async with desk.db.account(caller.account_id) as conn:
        return done(contract=await code_factory.get(conn, FactoryContractView, factory_contract_id))


@router.get("/review_states", summary="List reviews", responses=listed("ReviewStates", ReviewStateView))
async def review_states(desk: Desk, caller: Reader, query: Page) -> dict[str, Any]:
    """The latest first."""
    async with desk.db.account(caller.account_id) as conn:
        found = await code_factory.listing(conn, ReviewStateView, limit=query.per_page, offset=query.offset)
    return page(*found, query)


@router.get(
    "/review_states/{review_state_id}",
    summary="Show a review",
    responses=shows("ReviewState", review_state=ReviewStateView),
)
async def review_state(review_state_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """How it stands."""
    async with desk.db.account(caller.account_id) as conn:
        return done(review_state=await code_factory.get(conn, ReviewStateView, review_state_id))
