"""AI conversations as lists, REST and the events show them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.views import View


class ConversationView(View):
    """An AI conversation in events. `id` is its public id; `version` counts changes of its status, not its messages."""

    id: str
    title: str | None
    status: str
    conversation_type: str
    agent_id: UUID | None
    agent: str | None
    platform: str | None
    chat_session_id: UUID | None
    created_at: datetime
    version: int


class ConversationDetailView(ConversationView):
    """An AI conversation over REST, with what each message changes."""

    message_count: int
    last_activity_at: datetime
