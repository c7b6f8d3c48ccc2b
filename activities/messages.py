"""A turn's reply becomes rows. One transaction; runs as a local activity, where the turn's last step did not do it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.replies import BUDGET_NOTICE, FAILURE_NOTICE, Replies
from db.session import Database
from db.turns import load_steps
from domain.work import RecordInput, RecordResult


@dataclass
class MessageActivities:
    """Outbound rows, for workflows/session.py."""

    db: Database
    replies: Replies

    @activity.defn
    async def record_outbound(self, request: RecordInput) -> RecordResult:
        """Store the reply, its parts and what must leave; mark what it answers as handled.

        Idempotent by turn. Local, 10 s, retried until Postgres answers.
        """
        turn, final = request.turn, None
        if request.final_step:
            steps = await load_steps(self.db, UUID(turn.ref.account_id), UUID(turn.turn_id))
            final = next((one for one in steps if one.step == request.final_step), None)
        return await self.replies.record(
            turn,
            request.settling,
            final,
            failure=request.failure,
            skipped=request.skipped,
            notice=BUDGET_NOTICE if request.over_budget else FAILURE_NOTICE,
        )
