"""An outbound message on its way to its rows (see outbound.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.message import MessageType
from domain.outbound import Payload
from domain.sanitize import storable


@dataclass(frozen=True, slots=True)
class Part:
    """One rendered piece, as it will be sent. `payload`: what it carries besides its text."""

    body: str
    plain: str
    payload: Payload | None = None

    def as_json(self) -> dict[str, object]:
        """Return it as `flow.record_outgoing` wants it."""
        payload = None if self.payload is None else self.payload.model_dump(mode="json")
        return {"body": storable(self.body), "plain": storable(self.plain), "payload": payload}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An outbound message to be stored. Exactly one of `turn_id` (an agent's) and `user_id` (an operator's) is set,
    or neither for a notice of our own. `closing`: the last words of a hand-off, sent although a human now owns the
    session; `signal`: the session's workflow does not know of it yet.
    """

    session_id: UUID
    content: str
    parts: Sequence[Part]
    trace_id: str
    turn_id: UUID | None = None
    user_id: UUID | None = None
    user_name: str | None = None
    client_id: str | None = None
    answers: UUID | None = None
    handled: Sequence[UUID] = ()
    processed_no: int = 0
    failure: str | None = None
    closing: bool = False
    signal: bool = False
    message_type: MessageType = MessageType.TEXT
