"""A turn's reply becomes rows, rendered for its platform. One transaction; runs as a local activity."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.dispatch import UNTIL_SENT_S, Dispatcher
from activities.recent import RecentSteps
from adapters.registry import Platforms
from db import outbound, outbox
from db.outgoing import Outgoing, Part
from db.session import Database
from db.turns import StepRow, load_steps
from domain.sanitize import storable
from domain.work import Recorded, RecordInput, RecordResult

FAILURE_NOTICE = "Sorry, I could not answer just now. Please try again, or wait for a colleague."


def _text(step: StepRow | None) -> tuple[str, bool]:
    """Return the text that ends a turn, and whether it is a hand-off's closing words."""
    if step is None:
        return "", False
    if step.kind == "tool":
        return str(step.response["result"]), bool(step.response.get("terminal"))
    return str(step.response.get("text", "")), False


@dataclass
class MessageActivities:
    """Outbound rows, for workflows/turn.py."""

    db: Database
    platforms: Platforms
    dispatcher: Dispatcher
    recent: RecentSteps

    @activity.defn
    async def record_outbound(self, request: RecordInput) -> RecordResult:
        """Store the reply, its parts and what must leave; mark what it answers as handled.

        Idempotent by turn. Local, 10 s, retried until Postgres answers.
        """
        turn = request.turn
        account_id, turn_id = UUID(turn.ref.account_id), UUID(turn.turn_id)
        out = self._outgoing(request, await self._final_step(account_id, turn_id, request.final_step))
        reply = await outbound.record_reply(self.db, account_id, out, skipped=request.skipped or "")
        if reply is None:
            return RecordResult()
        self.dispatcher.notify_within(outbox.session_aggregate(account_id, out.session_id), UNTIL_SENT_S)
        return RecordResult(Recorded(reply.message_id, reply.generation, reply.trace_id))

    async def _final_step(self, account_id: UUID, turn_id: UUID, number: int) -> StepRow | None:
        if not number:
            return None
        recent = self.recent.take(turn_id, number)
        if recent is not None:
            return recent
        return next((one for one in await load_steps(self.db, account_id, turn_id) if one.step == number), None)

    def _outgoing(self, request: RecordInput, final: StepRow | None) -> Outgoing:
        turn = request.turn
        text, closing = _text(final)
        content = storable(FAILURE_NOTICE if request.failure else text).strip()
        rendered = self.platforms.get(turn.ref.platform).render(content) if content else []
        return Outgoing(
            session_id=UUID(turn.ref.session_id),
            content=content,
            parts=[Part(storable(part.body), storable(part.plain)) for part in rendered],
            trace_id=turn.trace_id,
            turn_id=UUID(turn.turn_id),
            answers=UUID(turn.message_ids[-1]),
            handled=[UUID(one) for one in request.handled],
            processed_no=request.processed_no,
            failure=request.failure,
            closing=closing,
        )
