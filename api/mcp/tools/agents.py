"""Tools about agents: which there are, which of their tool calls wait for a person's word, and giving it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from api.mcp.tool import Args, Call, Result, Tool
from api.sessions import caller_id
from db import agents, approvals
from db.approvals import Resolution
from domain.agent import ApprovalStatus
from domain.agent_view import AgentView
from domain.approval import ToolApprovalView
from domain.permissions import Permission


class Nothing(Args):
    """No arguments."""


class Agents(Result):
    """All agents of the account, by name."""

    agents: list[AgentView]


async def _list_agents(call: Call, _args: Nothing) -> Agents:
    async with call.services.db.account(call.principal.account_id) as conn:
        return Agents(agents=await agents.listing(conn))


class ListApprovals(Args):
    """Which approvals; those that wait where nothing is said."""

    status: ApprovalStatus = ApprovalStatus.PENDING
    session_id: UUID | None = None
    limit: int = Field(25, ge=1, le=100)


class Approvals(Result):
    """Approvals, the latest first, and how many there are."""

    approvals: list[ToolApprovalView]
    total: int


async def _list_approvals(call: Call, args: ListApprovals) -> Approvals:
    async with call.services.db.account(call.principal.account_id) as conn:
        items, total = await approvals.listing(
            conn, status=args.status, session_id=args.session_id, limit=args.limit, offset=0
        )
    return Approvals(approvals=items, total=total)


class Resolve(Args):
    """The decision; the reason of a rejection is told to the agent."""

    approval_id: UUID
    decision: Literal["approve", "reject"]
    reason: str | None = Field(None, max_length=500)


class Resolved(Result):
    """The approval as it was decided."""

    approval: ToolApprovalView


async def _resolve(call: Call, args: Resolve) -> Resolved:
    status = ApprovalStatus.APPROVED if args.decision == "approve" else ApprovalStatus.REJECTED
    who = caller_id(call.principal)
    async with call.services.db.account(call.principal.account_id) as conn:
        approval, aggregate = await approvals.resolve(conn, Resolution(args.approval_id, status, who, args.reason))
    call.services.dispatcher.notify(aggregate)
    return Resolved(approval=approval)


TOOLS = (
    Tool("list_agents", "List the AI agents.", Nothing, Agents, Permission.AGENTS_READ, _list_agents),
    Tool(
        "list_approvals", "List tool calls of agents that wait for a person's word.", ListApprovals, Approvals,
        Permission.SESSIONS_READ, _list_approvals,
    ),
    Tool(
        "resolve_approval", "Approve or reject a tool call. Only a person can.", Resolve, Resolved,
        Permission.APPROVALS_RESOLVE, _resolve, writes=True,
    ),
)  # fmt: skip
