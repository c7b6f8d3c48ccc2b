"""Placeholders of replies that are being made."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from db.tables.base import account, metadata, moment, one_of, owned, status_column
from domain.preview import PreviewStatus

reply_previews = Table(
    "reply_previews",
    metadata,
    Column("turn_id", Uuid, primary_key=True),
    account(),
    Column("session_id", Uuid, nullable=False),
    Column("channel_id", Uuid, nullable=False),
    status_column("status", "sending"),
    Column("fence", BigInteger, nullable=False),
    Column("reply_to", JSONB, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("platform_message_id", Text),
    Column("due_at", DateTime(timezone=True), nullable=False),
    moment("created_at", required=True),
    one_of("status", PreviewStatus),
    owned("turn_id", "turns"),
    owned("session_id", "chat_sessions"),
    owned("channel_id", "chat_channels"),
    Index("ix_reply_previews_open", "due_at", postgresql_where=text("status IN ('sending', 'shown', 'leaving')")),
)
