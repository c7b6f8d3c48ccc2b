"""Rows to views: the column lists that every query of a session, message or conversation message selects.

A repository selects these and builds the view here, so that REST, events and initial-state frames cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, RowMapping
from sqlalchemy.dialects.postgresql import JSONB, UUID

from domain.file_views import AttachmentView
from domain.sanitize import storable
from domain.views import (
    SENDER_TYPES,
    ConversationMessageView,
    MessageMetadataView,
    MessageView,
    PartView,
    SenderInfoView,
    SessionView,
)

SESSION_COLUMNS: Final = """
    s.id, s.channel_id, (SELECT platform FROM chat_channels c WHERE c.id = s.channel_id) AS platform,
    s.platform_user_id, s.platform_username, s.status, s.owner, s.message_count,
    (SELECT name FROM ai_agents a WHERE a.id = s.assigned_agent_id) AS assigned_agent,
    s.ai_conversation_id, s.last_activity_at, s.created_at, s.version
"""
"""Selects a SessionView from `chat_sessions s`."""

PARTS_COLUMN: Final = """
    COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
            'part', d.part_no, 'status', d.status, 'attempts', d.attempts,
            'platform_message_id', d.platform_message_id, 'error_code', d.error_code, 'error', d.error_message
        ) ORDER BY d.part_no)
        FROM message_deliveries d WHERE d.message_id = m.id AND d.generation = m.generation
    ), '[]'::jsonb) AS delivery_detail
"""
MESSAGE_COLUMNS: Final = f"""
    m.id, m.session_id, m.direction, m.message_type, m.content, m.delivery_status, m.generation, m.arrival_no, m.late,
    m.platform_message_id, m.ai_message_id, m.trace_id, m.sent_at, m.delivered_at, m.read_at, m.created_at, m.version,
    flow.message_files(m.id) AS attachments, {PARTS_COLUMN}
"""
"""Selects a MessageView from `chat_messages m`; pass the statement's result through `.columns(**MESSAGE_TYPES)`."""

MESSAGE_TYPES: Final[dict[str, Any]] = {"delivery_detail": JSONB, "attachments": JSONB}

CONVERSATION_MESSAGE_COLUMNS: Final = """
    a.message_id, a.role, a.content, a.sequence_number, a.created_at, a.token_count, a.status, a.error_message,
    COALESCE(a.user_id::text, a.ai_agent_id::text) AS sender_id,
    COALESCE((SELECT name FROM users u WHERE u.id = a.user_id), (SELECT name FROM ai_agents g WHERE g.id = a.ai_agent_id),
        a.content_metadata ->> 'sender_name') AS sender_name
"""
"""Selects a ConversationMessageView from `ai_messages a`."""

UUIDS: Final = UUID(as_uuid=True)


def mapping(row: Row[Any]) -> RowMapping:
    """Return a row by column names; this is SQLAlchemy's documented way in, in spite of its underscore."""
    return row._mapping  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def session_view(row: RowMapping | Mapping[str, Any]) -> SessionView:
    """Build a session's view from `SESSION_COLUMNS`."""
    return SessionView.model_validate({name: row[name] for name in SessionView.model_fields})


def message_view(row: RowMapping | Mapping[str, Any]) -> MessageView:
    """Build a chat message's view from `MESSAGE_COLUMNS`."""
    values = {name: row[name] for name in MessageView.model_fields}
    values["delivery_detail"] = [PartView.model_validate(part) for part in values["delivery_detail"]]
    values["attachments"] = [AttachmentView.model_validate(file) for file in values["attachments"]]
    return MessageView.model_validate(values)


def conversation_message_view(row: RowMapping | Mapping[str, Any]) -> ConversationMessageView:
    """Build a conversation message's view from `CONVERSATION_MESSAGE_COLUMNS`."""
    return ConversationMessageView(
        id=row["message_id"],
        content=row["content"],
        sender_type=str(SENDER_TYPES.get(row["role"], row["role"])),
        sender_info=SenderInfoView(id=row["sender_id"], name=row["sender_name"]),
        sequence_number=row["sequence_number"],
        created_at=row["created_at"],
        metadata=MessageMetadataView(
            tokens_used=row["token_count"],
            processing=row["status"] == "processing",
            error=row["status"] == "failed",
            error_message=row["error_message"],
        ),
    )


def preview(content: bytes | str, limit: int = 200) -> str:
    """Return the head of a body as text that is safe to store and show."""
    text = content[: limit * 4].decode("utf-8", "replace") if isinstance(content, bytes) else content
    return storable(text)[:limit]
