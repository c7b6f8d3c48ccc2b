"""A turn's reply becomes rows, rendered for its platform. One transaction; runs as a local activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.dispatch import Dispatcher
from adapters.registry import Platforms
from db import outbound
from db.outgoing import Outgoing, Part
from db.session import Database
from db.turns import StepRow
from domain.sanitize import storable
from domain.session import Owner, SessionStatus
from domain.work import Recorded, RecordInput, RecordResult

FAILURE_NOTICE = "Sorry, I could not answer just now. Please try again, or wait for a colleague."


def _final_text(steps: Sequence[StepRow], final_step: int) -> tuple[str, bool]:
    """Return the text that ends a turn, and whether it is a hand-off's closing words."""
    step = next((one for one in steps if one.step == final_step), None)
    if step is None:
        return "", False
    if step.kind == "tool":
        return str(step.response["result"]), bool(step.response.get("terminal"))
    return str(step.response.get("text", "")), False


def _unanswerable(owner: str, status: str) -> str:
    """Why no agent's reply may be stored in a session; empty when it may."""
    if owner == Owner.HUMAN:
        return "a human has the session"
    return "the session is blocked" if status == SessionStatus.BLOCKED else ""


def _silent(out: Outgoing) -> str:
    return "" if out.content else "nothing to say"


@dataclass
class MessageActivities:
    """Outbound rows, for workflows/turn.py."""

    db: Database
    platforms: Platforms
    dispatcher: Dispatcher

    @activity.defn
    async def record_outbound(self, request: RecordInput) -> RecordResult:
        """Store the reply, its parts and what must leave; mark what it answers as handled.

        Idempotent by turn. Local, 10 s, retried until Postgres answers.
        """
        turn = request.turn
        account_id, turn_id = UUID(turn.ref.account_id), UUID(turn.turn_id)
        async with self.db.account(account_id) as conn:
            stand = await outbound.lock_turn(conn, UUID(turn.ref.session_id), turn_id)
            if stand is None:
                return RecordResult()
            if stand.stored is not None:
                return RecordResult(Recorded(*stand.stored))
            out = self._outgoing(request, stand.steps)
            skipped = request.skipped or _unanswerable(stand.owner, stand.status) or _silent(out)
            if skipped:
                await outbound.settle_without_reply(conn, out, skipped)
                return RecordResult()
            view, aggregate = await outbound.record(conn, out)
        self.dispatcher.notify_soon(aggregate)
        return RecordResult(Recorded(str(view.id), view.generation, view.trace_id))

    def _outgoing(self, request: RecordInput, steps: Sequence[StepRow]) -> Outgoing:
        turn = request.turn
        text, closing = _final_text(steps, request.final_step)
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
            input_tokens=sum(step.input_tokens for step in steps),
            output_tokens=sum(step.output_tokens for step in steps),
            failure=request.failure,
            closing=closing,
        )
