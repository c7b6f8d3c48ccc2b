"""AI conversations as readers see them, and the event of one whose status changed."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from db import outbox
from db.tables import ai_conversations
from db.watched import TEXT_FILTER, Watched
from domain.conversation_view import ConversationDetailView, ConversationView
from domain.events.conversations import ConversationUpdated

CONVERSATIONS: Final = Watched(
    "conversation",
    ai_conversations,
    ConversationDetailView,
    """
    c.conversation_id AS id, c.title, c.status, c.conversation_type, c.ai_agent_id AS agent_id,
    (SELECT a.name FROM ai_agents a WHERE a.id = c.ai_agent_id) AS agent, c.metadata ->> 'platform' AS platform,
    c.metadata ->> 'chat_session_id' AS chat_session_id, c.created_at, c.version, c.message_count, c.last_activity_at
    """,
    "ai_conversations c",
    "c",
    "conversation_id",
    {"status": TEXT_FILTER.format(name="status", column="c.status")},
)


def updated(account_id: UUID, view: str | None, at: datetime) -> list[dict[str, object]]:
    """Shape the event for the outbox from `flow.conversation_view`; nothing when no status changed."""
    if view is None:
        return []
    conversation = ConversationView.model_validate_json(view)
    return [outbox.event_row(ConversationUpdated(account_id=account_id, timestamp=at, conversation=conversation))]
