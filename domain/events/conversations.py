"""Events of the list of an account's AI conversations: told when one begins or its status changes, never by message."""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

from domain.conversation_view import ConversationView
from domain.events.base import Event
from domain.events.orchestration import AccountEvent


def conversations_list_stream(account_id: UUID) -> str:
    """Return the stream of an account's list of AI conversations."""
    return f"ai_conversations_list:account_{account_id}"


class _ListEvent(AccountEvent):
    conversation: ConversationView

    def streams(self) -> list[str]:
        return [conversations_list_stream(self.account_id)]


class ConversationCreated(_ListEvent):
    """An AI conversation began, with its first message."""

    type: Literal["conversation_created"] = "conversation_created"


class ConversationUpdated(_ListEvent):
    """An AI conversation's status changed."""

    type: Literal["conversation_updated"] = "conversation_updated"


EVENTS: Final[tuple[type[Event], ...]] = (ConversationCreated, ConversationUpdated)
