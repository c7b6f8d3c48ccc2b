"""A turn's reply becomes rows, rendered for its platform: with the step that ends the turn, or afterwards.

Called by activities/agent.py and activities/messages.py. Idempotent by turn, whichever of the two comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from activities.dispatch import UNTIL_SENT_S, Dispatcher
from adapters.composing import compose
from adapters.registry import Platforms
from db import outbound
from db.outbound import Reply
from db.outbox import session_aggregate
from db.outgoing import Outgoing, Part
from db.session import Database
from db.turns import StepRow
from domain.outbound import Payload, described, read_payload, type_of
from domain.sanitize import storable
from domain.work import Recorded, RecordResult, Settling, TurnInput

FAILURE_NOTICE = "Sorry, I could not answer just now. Please try again, or wait for a colleague."
BUDGET_NOTICE = "Sorry, I have answered all I can for now. Please try again later, or wait for a colleague."


@dataclass(frozen=True, slots=True)
class Said:
    """What ends a turn. `closing`: the last words of a hand-off; `extras`: what goes with the words."""

    text: str
    closing: bool = False
    extras: tuple[Payload, ...] = ()

    @classmethod
    def of(cls, step: StepRow | None) -> Said:
        """Read the step that ends a turn."""
        if step is None:
            return cls("")
        if step.kind != "tool":
            return cls(str(step.response.get("text", "")))
        extras = tuple(extra for one in step.response.get("extras", ()) if (extra := read_payload(one)) is not None)
        return cls(str(step.response["result"]), bool(step.response.get("terminal")) and not extras, extras)


@dataclass
class Replies:
    """One per process."""

    db: Database
    platforms: Platforms
    dispatcher: Dispatcher

    async def record(
        self,
        turn: TurnInput,
        settling: Settling,
        final: StepRow | None,
        *,
        failure: str | None = None,
        skipped: str | None = None,
        notice: str = FAILURE_NOTICE,
    ) -> RecordResult:
        """Record the text of a stored step, `notice` in its place (`failure`), or that there is none (`skipped`)."""
        said = Said(notice) if failure else Said.of(final)
        out = self._outgoing(turn, settling, said, failure)
        account_id = UUID(turn.ref.account_id)
        return self._told(account_id, out, await outbound.record_reply(self.db, account_id, out, skipped=skipped or ""))

    async def finish(self, turn: TurnInput, settling: Settling, final: StepRow) -> RecordResult | None:
        """Store the step that ends a turn and record its text; None when another step was stored before it."""
        out = self._outgoing(turn, settling, Said.of(final), None)
        account_id = UUID(turn.ref.account_id)
        new, reply = await outbound.finish_turn(self.db, account_id, final, out)
        return self._told(account_id, out, reply) if new else None

    def _told(self, account_id: UUID, out: Outgoing, reply: Reply | None) -> RecordResult:
        if reply is None:
            return RecordResult()
        self.dispatcher.notify_within(session_aggregate(account_id, out.session_id), UNTIL_SENT_S)
        return RecordResult(Recorded(reply.message_id, reply.generation, reply.trace_id))

    def _outgoing(self, turn: TurnInput, settling: Settling, said: Said, failure: str | None) -> Outgoing:
        text = storable(said.text).strip()
        rendered = compose(self.platforms.get(turn.ref.platform), text, said.extras) if text or said.extras else []
        return Outgoing(
            session_id=UUID(turn.ref.session_id),
            content="\n".join(filter(None, (text, *map(described, said.extras)))),
            parts=[Part(part.body, part.plain, part.payload) for part in rendered],
            trace_id=turn.trace_id,
            turn_id=UUID(turn.turn_id),
            answers=UUID(turn.message_ids[-1]),
            handled=[UUID(one) for one in settling.handled],
            processed_no=settling.processed_no,
            failure=failure,
            closing=said.closing,
            message_type=type_of(said.extras[0] if said.extras else None),
        )
