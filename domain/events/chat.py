"""Events of chat: conversations, sessions, channels, approvals of tools."""

from __future__ import annotations

from typing import ClassVar, Final, Literal
from uuid import UUID

from domain.approval import ToolApprovalView
from domain.events.base import Event
from domain.views import (
    ChannelSummaryView,
    ConversationMessageView,
    MessageView,
    SessionView,
)


def conversation_stream(conversation_id: str) -> str:
    """Return the stream of an AI conversation by its public id."""
    return f"ai_conversation_{conversation_id}"


def session_stream(session_id: UUID | str) -> str:
    """Return the stream of a chat session."""
    return f"chat_session_{session_id}"


def channel_stream(channel_id: UUID | str) -> str:
    """Return the stream of a chat channel."""
    return f"chat_channel_{channel_id}"


class _ConversationEvent(Event):
    conversation_id: str

    def streams(self) -> list[str]:
        return [conversation_stream(self.conversation_id)]


class MessageCreated(_ConversationEvent):
    """A message was added to a conversation."""

    type: Literal["message_created"] = "message_created"
    message: ConversationMessageView


class MessageUpdated(_ConversationEvent):
    """A message's text or metadata changed."""

    type: Literal["message_updated"] = "message_updated"
    message: ConversationMessageView


class AiResponseStreaming(_ConversationEvent):
    """A piece of an answer being made. A higher `attempt` resets the view; `seq` counts from 0 within one attempt."""

    transient: ClassVar[bool] = True
    type: Literal["ai_response_streaming"] = "ai_response_streaming"
    message_id: str
    attempt: int
    seq: int
    delta: str


class AiResponseComplete(_ConversationEvent):
    """An answer is recorded; its whole text comes from the database."""

    type: Literal["ai_response_complete"] = "ai_response_complete"
    message: ConversationMessageView


class ConversationError(_ConversationEvent):
    """An answer could not be made; the reason is fit to be shown."""

    type: Literal["error"] = "error"
    message: str


class TypingIndicator(_ConversationEvent):
    """A person started or stopped typing."""

    transient: ClassVar[bool] = True
    type: Literal["typing_indicator"] = "typing_indicator"
    user_id: UUID
    user_name: str
    typing: bool


class ChatMessageCreated(Event):
    """A chat message was stored, inbound or outbound."""

    type: Literal["message_created"] = "message_created"
    session_id: UUID
    message: MessageView

    def streams(self) -> list[str]:
        return [session_stream(self.session_id)]


class ChatMessageStatus(Event):
    """A chat message's delivery moved on, its text was edited, or one of its files was settled; the view is whole."""

    type: Literal["message_status"] = "message_status"
    session_id: UUID
    message_id: UUID
    delivery_status: str
    message: MessageView

    def streams(self) -> list[str]:
        return [session_stream(self.session_id)]


class SessionUpdated(Event):
    """A session was opened or changed; the view is whole."""

    type: Literal["session_updated"] = "session_updated"
    session: SessionView

    def streams(self) -> list[str]:
        return [session_stream(self.session.id), channel_stream(self.session.channel_id)]


class _ApprovalEvent(Event):
    session_id: UUID
    channel_id: UUID
    approval: ToolApprovalView

    def streams(self) -> list[str]:
        return [session_stream(self.session_id), channel_stream(self.channel_id)]


class ToolApprovalRequired(_ApprovalEvent):
    """An agent wants to run a tool that needs a person's word; its turn waits."""

    type: Literal["tool_approval_required"] = "tool_approval_required"


class ToolApprovalResolved(_ApprovalEvent):
    """A tool call was approved, rejected, expired, or cancelled with its turn; the view is whole."""

    type: Literal["tool_approval_resolved"] = "tool_approval_resolved"


class ChannelStatusChange(Event):
    """A channel was created, connected, disconnected, or broke."""

    type: Literal["status_change"] = "status_change"
    channel_id: UUID
    status: str
    channel: ChannelSummaryView

    def streams(self) -> list[str]:
        return [channel_stream(self.channel_id)]


class WebhookQuarantined(Event):
    """A verified webhook could not be understood and was set aside."""

    type: Literal["webhook_quarantined"] = "webhook_quarantined"
    channel_id: UUID
    delivery_id: UUID
    reason: str

    def streams(self) -> list[str]:
        return [channel_stream(self.channel_id)]


EVENTS: Final[tuple[type[Event], ...]] = (
    MessageCreated,
    MessageUpdated,
    AiResponseStreaming,
    AiResponseComplete,
    ConversationError,
    TypingIndicator,
    ChatMessageCreated,
    ChatMessageStatus,
    SessionUpdated,
    ToolApprovalRequired,
    ToolApprovalResolved,
    ChannelStatusChange,
    WebhookQuarantined,
)
