"""An inbound message on its way to its rows: what of it Postgres is given, and what its workflow and readers are told.

`flow.record_message` opens or locks the session and the conversation, takes both numbers, writes the message and what
must leave. Deferred messages wait without numbers until deferred.py releases them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.calls import dumps
from db.channels import ChannelRow
from db.loops import FROM_BOT
from db.outbox import Aggregate
from domain.events.chat import MessageCreated
from domain.filenames import clean_filename
from domain.files import AttachmentState, attachment_type, is_label
from domain.message import Attachment, InboundEvent
from domain.sanitize import sanitize, storable
from domain.views import ConversationMessageView, MessageMetadataView, MessageView, SenderInfoView

_RECORD: Final = text("SELECT flow.record_message(app_account(), :channel_id, CAST(:message AS jsonb), :blocked)")
MESSAGE_RECEIVED: Final = "message_received"


@dataclass(frozen=True, slots=True)
class ArrivingItem:
    """An inbound message with its row in `inbound_events`, and whether its sender is blocked."""

    row_id: UUID
    event: InboundEvent
    trace_id: str
    blocked: bool


def arrival_signal(
    channel_id: UUID, platform: str, view: MessageView, arrival_no: int, order_key: str
) -> dict[str, object]:
    """Shape the outbox row that tells the session's workflow of an arrival."""
    waiting = any(file.state == AttachmentState.WAITING for file in view.attachments)
    return outbox.signal_row(
        MESSAGE_RECEIVED,
        {
            "session_id": str(view.session_id),
            "channel_id": str(channel_id),
            "platform": platform,
            "arrival_no": arrival_no,
            "order_key": order_key,
            "message_id": str(view.id),
            "files": waiting and is_label(view.content),
        },
    )


def conversation_event(session: Row[Any], public_id: str, content: str, sender: SenderInfoView) -> MessageCreated:
    """Shape the event by which readers of the conversation learn of an inbound message."""
    return MessageCreated(
        timestamp=session.at,
        conversation_id=session.conversation_id,
        message=ConversationMessageView(
            id=public_id,
            content=content,
            sender_type="user",
            sender_info=sender,
            sequence_number=session.last_sequence,
            created_at=session.at,
            metadata=MessageMetadataView(),
        ),
    )


def _clean(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {str(_clean(key)): _clean(item) for key, item in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in cast("list[object]", value)]
    return value


def _attachment_json(file: Attachment) -> dict[str, object]:
    """Return a file as the platform told of it; `metadata` of a stored one comes from its content."""
    return {
        "kind": file.kind.value,
        "type": attachment_type(file.kind).value,
        "remote_ref": file.remote_ref,
        "mime_type": (file.mime_type or "").partition(";")[0].strip().lower()[:255] or None,
        "filename": clean_filename(file.filename),
        "size": file.size_bytes if file.size_bytes is not None and 0 <= file.size_bytes < 1 << 62 else None,
    }


def message_json(channel: ChannelRow, event: InboundEvent, deferred_until: datetime | None) -> dict[str, object]:
    """Return the `m` of `flow.record_message`, in text that Postgres accepts: no NUL, no lone surrogate."""
    # Keys that are rare are left out where they say nothing: this is read for every message.
    rare: dict[str, object] = {"late": True} if event.late else {}
    if event.known_as:
        rare |= {"known_as": _clean(event.known_as), "person": _clean(event.person)}
    return rare | {
        "session_key": storable(event.session_key),
        "sender_id": storable(event.sender.id),
        "sender_name": storable(event.sender.name or event.sender.username or "") or None,
        "agent_id": channel.default_agent_id,
        "platform": channel.platform,
        "user_metadata": _clean({"username": event.sender.username}),
        "message_type": event.message_type.value,
        "content": storable(event.text),
        "sanitized": sanitize(event.text),
        "occurred_at": event.occurred_at,
        "order_key": storable(event.order_key),
        "platform_message_id": storable(event.message_id),
        "reply_to": _clean(
            {"chat": event.reply_to.chat, "thread": event.reply_to.thread, "message": event.reply_to.message}
        ),
        "metadata": _clean(event.metadata | ({FROM_BOT: "true"} if event.sender.is_bot else {})),
        "attachments": [_clean(_attachment_json(one)) for one in event.attachments],
        "deferred_until": deferred_until,
    }


async def record_message(
    conn: AsyncConnection, channel: ChannelRow, item: ArrivingItem, *, deferred_until: datetime | None
) -> Aggregate:
    """Store one inbound message and what must leave for it. Returns the session's aggregate."""
    message = message_json(channel, item.event, deferred_until)
    message |= {"inbound_event_id": item.row_id, "trace_id": item.trace_id}
    arguments = {"channel_id": channel.id, "message": dumps(message), "blocked": item.blocked}
    session_id: UUID = (await conn.execute(_RECORD, arguments)).scalar_one()
    return outbox.session_aggregate(channel.account_id, session_id)
