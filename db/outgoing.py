"""An outbound message on its way to its rows: its shape, the view and the events that readers get of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from db.rows import mapping, session_view
from domain.events import (
    AiResponseComplete,
    ChatMessageCreated,
    ConversationError,
    Event,
    MessageCreated,
    SessionUpdated,
)
from domain.views import ConversationMessageView, MessageMetadataView, MessageView, SenderInfoView


@dataclass(frozen=True, slots=True)
class Part:
    """One rendered piece, as it will be sent."""

    body: str
    plain: str


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
    input_tokens: int = 0
    output_tokens: int = 0
    failure: str | None = None
    closing: bool = False
    signal: bool = False


def _conversation_message(out: Outgoing, session: Row[Any], public_id: str) -> ConversationMessageView:
    sender = session.agent_id or out.user_id
    return ConversationMessageView(
        id=public_id,
        content=out.content,
        sender_type="ai",
        sender_info=SenderInfoView(id=str(sender) if sender else None, name=session.agent_name or out.user_name),
        sequence_number=session.last_sequence,
        created_at=session.at,
        metadata=MessageMetadataView(tokens_used=out.input_tokens + out.output_tokens),
    )


def new_view(out: Outgoing, session: Row[Any], message_id: UUID, ai_message_id: UUID, nonces: list[str]) -> MessageView:
    """Return the message as it is when it is new: pending, its parts queued."""
    detail = [
        {
            "part": number,
            "status": "queued",
            "attempts": 0,
            "platform_message_id": None,
            "error_code": None,
            "error": None,
        }
        for number in range(1, len(nonces) + 1)
    ]
    return MessageView.model_validate(
        {
            "id": message_id,
            "session_id": out.session_id,
            "direction": "outbound",
            "message_type": "text",
            "content": out.content,
            "delivery_status": "pending",
            "delivery_detail": detail,
            "generation": 1,
            "arrival_no": None,
            "platform_message_id": None,
            "ai_message_id": ai_message_id,
            "trace_id": out.trace_id,
            "sent_at": None,
            "delivered_at": None,
            "read_at": None,
            "created_at": session.at,
            "version": 1,
        }
    )


def new_events(out: Outgoing, session: Row[Any], view: MessageView, public_id: str) -> list[Event]:
    """Return what readers are told of a new outbound message."""
    message = _conversation_message(out, session, public_id)
    conversation_id, at = session.conversation_id, session.at
    # An agent's answer is announced once: `ai_response_complete` carries the same message.
    created = AiResponseComplete if out.turn_id is not None and out.failure is None else MessageCreated
    events: list[Event] = [created(timestamp=at, conversation_id=conversation_id, message=message)]
    if out.failure is not None:
        events.append(ConversationError(timestamp=at, conversation_id=conversation_id, message=out.failure))
    events.append(ChatMessageCreated(timestamp=at, session_id=out.session_id, message=view))
    events.append(SessionUpdated(timestamp=at, session=session_view(mapping(session))))
    return events
