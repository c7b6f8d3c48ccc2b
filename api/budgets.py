"""Budgets for AI spend: list, set, lift."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Desk, Principal, allow
from api.envelope import done
from api.openapi import shows
from db import budgets
from db.budgets import Cap
from domain.budget import BudgetPeriod
from domain.permissions import Permission
from domain.views import BudgetView

router = APIRouter(prefix="/api/v1/ai/budgets", tags=["budgets"])

Reader = Annotated[Principal, allow(Permission.BUDGETS_READ)]
Manager = Annotated[Principal, allow(Permission.BUDGETS_MANAGE)]


class BudgetFields(BaseModel):
    """A cap in tokens. Without an agent it holds for all agents of the account together."""

    model_config = ConfigDict(extra="forbid")
    agent_id: UUID | None = None
    period: BudgetPeriod
    cap_tokens: int = Field(ge=0, le=10**15)


class BudgetBody(BaseModel):
    """The budget to be set."""

    model_config = ConfigDict(extra="forbid")
    budget: BudgetFields


@router.get("", summary="List budgets", responses=shows("Budgets", items=list[BudgetView]))
async def listing(desk: Desk, caller: Reader) -> dict[str, Any]:
    """All budgets of the account, with what is spent and reserved of each in its running period."""
    async with desk.db.account(caller.account_id) as conn:
        return done(items=await budgets.listing(conn))


@router.put("", summary="Set a budget", responses=shows("Budget", budget=BudgetView))
async def put(body: BudgetBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Sets the cap of an agent, or of the account, for a period; what was spent in it stays. Holds from the next model
    request on: one that is refused ends its turn with a notice to the person. Of several budgets each must have something
    left.
    """
    wanted = Cap(body.budget.agent_id, body.budget.period, body.budget.cap_tokens)
    async with desk.db.account(caller.account_id) as conn:
        return done(budget=await budgets.put(conn, wanted))


@router.delete("/{budget_id}", summary="Lift a budget", responses=shows("BudgetDeleted"))
async def remove(budget_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """What was spent is forgotten with it."""
    async with desk.db.account(caller.account_id) as conn:
        await budgets.remove(conn, budget_id)
    return done("Budget lifted")
