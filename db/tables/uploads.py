"""Files that operators uploaded to send. The bytes are in the file store, by their hash; a message names them by their id."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table, Text, Uuid

from db.tables.base import account, metadata, moment, owned, tenant_key, uuid_id

chat_uploads = Table(
    "chat_uploads",
    metadata,
    uuid_id(),
    account(),
    Column("session_id", Uuid, nullable=False),
    Column("user_id", Uuid),
    Column("filename", Text, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("file_size", BigInteger, nullable=False),
    Column("content_hash", Text, nullable=False),
    moment("created_at", required=True),
    CheckConstraint("file_size > 0", name="file_size"),
    tenant_key(),
    owned("session_id", "chat_sessions"),
    Index("ix_chat_uploads_content", "account_id", "content_hash"),
    Index("ix_chat_uploads_created_at", "created_at"),
)
