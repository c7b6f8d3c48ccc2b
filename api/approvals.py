"""Tool calls of agents that wait for a person's word: list, show, approve, reject."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from api.services import Services
from api.sessions import caller_id
from db import approvals
from db.approvals import Resolution
from domain.agent import ApprovalStatus
from domain.approval import ToolApprovalView
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/ai/approvals", tags=["approvals"])

Reader = Annotated[Principal, allow(Permission.SESSIONS_READ)]
Resolver = Annotated[Principal, allow(Permission.APPROVALS_RESOLVE)]
Page = Annotated[PageQuery, Depends()]
SHOWN = shows("ToolApproval", approval=ToolApprovalView)


class ResolveBody(BaseModel):
    """`reason` of a rejection is told to the agent."""

    model_config = ConfigDict(extra="forbid")
    reason: str | None = Field(None, max_length=500)


@router.get("", summary="List approvals", responses=listed("ToolApprovals", ToolApprovalView))
async def listing(
    desk: Desk,
    caller: Reader,
    query: Page,
    status: ApprovalStatus | None = None,
    session_id: UUID | None = None,
) -> dict[str, Any]:
    """The latest first; `status=pending` shows what waits."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await approvals.listing(
            conn, status=status, session_id=session_id, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get("/{approval_id}", summary="Show an approval", responses=SHOWN)
async def show(approval_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """The tool, its arguments as the model wrote them, and how it was decided."""
    async with desk.db.account(caller.account_id) as conn:
        return done(approval=await approvals.get(conn, approval_id))


async def _resolve(desk: Services, caller: Principal, resolution: Resolution) -> dict[str, Any]:
    async with desk.db.account(caller.account_id) as conn:
        approval, aggregate = await approvals.resolve(conn, resolution)
    desk.dispatcher.notify(aggregate)
    return done(approval=approval)


@router.post("/{approval_id}/approve", summary="Approve a tool call", responses=SHOWN)
async def approve(approval_id: UUID, body: ResolveBody, desk: Desk, caller: Resolver) -> dict[str, Any]:
    """The tool runs and the turn goes on. 409 when it was decided, or ran out of time, before."""
    status = ApprovalStatus.APPROVED
    return await _resolve(desk, caller, Resolution(approval_id, status, caller_id(caller), body.reason))


@router.post("/{approval_id}/reject", summary="Reject a tool call", responses=SHOWN)
async def reject(approval_id: UUID, body: ResolveBody, desk: Desk, caller: Resolver) -> dict[str, Any]:
    """The tool does not run; the agent is told so, with the reason. 409 when it was decided before."""
    status = ApprovalStatus.REJECTED
    return await _resolve(desk, caller, Resolution(approval_id, status, caller_id(caller), body.reason))
