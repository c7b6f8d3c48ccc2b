"""Asks for a person's word on a tool call, and tells how it was decided. For workflows/approvals.py and agent.py."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.dispatch import Dispatcher
from db import approvals, turns
from db.approvals import Question
from db.session import Database
from domain.agent import ApprovalStatus
from domain.approval import ToolApprovalView
from domain.work import ApprovalAsked, ToolStepInput


def refusal(approval: ToolApprovalView | None) -> str | None:
    """Return what the model is told of a call that may not run; None when it may."""
    if approval is None or approval.status == ApprovalStatus.CANCELLED:
        return "This call was cancelled before anybody approved it. It did not run."
    if approval.status == ApprovalStatus.APPROVED:
        return None
    if approval.status == ApprovalStatus.REJECTED:
        why = f" Their reason: {approval.reason}" if approval.reason else ""
        return f"A colleague rejected this call, so it did not run. Do not try it again.{why}"
    return "Nobody approved this call in time, so it did not run. Do not try it again now."


@dataclass
class ApprovalActivities:
    """Approvals of tool calls."""

    db: Database
    dispatcher: Dispatcher

    @activity.defn
    async def ask_approval(self, step: ToolStepInput) -> ApprovalAsked:
        """Ask for a person's word. Idempotent by (turn, step). Timeout/retry: 10 s, until Postgres answers."""
        account_id, turn_id = UUID(step.turn.ref.account_id), UUID(step.turn.turn_id)
        steps = await turns.load_steps(self.db, account_id, turn_id)
        call = next(one for one in steps if one.step == step.call.step).response["tool_calls"][step.call.index]
        async with self.db.account(account_id) as conn:
            question = Question(
                turn_id,
                step.step,
                call["name"],
                call["arguments"],
                activity.info().workflow_id or "",
            )
            left, aggregate = await approvals.ask(conn, question)
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
        return ApprovalAsked(left)

    async def refused(self, step: ToolStepInput) -> str | None:
        """Return why a call may not run, in words for the model; None when a person approved it."""
        async with self.db.account(UUID(step.turn.ref.account_id)) as conn:
            approval, aggregate = await approvals.settled(conn, UUID(step.turn.turn_id), step.step)
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
        return refusal(approval)
