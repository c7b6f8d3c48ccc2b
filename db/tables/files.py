"""Files of messages: what a person sent, or we send. The bytes are in the file store (activities/files.py), by their hash."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint, Uuid
from sqlalchemy import text as sql

from db.tables.base import account, json_column, metadata, moment, one_of, owned, status_column, tenant_key, uuid_id
from domain.files import AttachmentState, AttachmentType

chat_message_attachments = Table(
    "chat_message_attachments",
    metadata,
    uuid_id(),
    account(),
    Column("message_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    Column("attachment_type", Text, nullable=False),
    Column("mime_type", Text, nullable=False, server_default=sql("'application/octet-stream'")),
    Column("filename", Text),
    Column("platform_file_id", Text),
    Column("storage_url", Text),
    Column("content_hash", Text),
    Column("file_size", BigInteger),
    json_column("metadata"),
    status_column("state", "waiting"),
    Column("reason", Text),
    Column("scanned_for_malware", Boolean, nullable=False, server_default=sql("false")),
    Column("malware_detected", Boolean, nullable=False, server_default=sql("false")),
    moment("scanned_at"),
    Column("transcription", Text),
    moment("settled_at"),
    moment("created_at", required=True),
    one_of("attachment_type", AttachmentType),
    one_of("state", AttachmentState),
    CheckConstraint("file_size >= 0", name="file_size"),
    CheckConstraint("state <> 'stored' OR content_hash IS NOT NULL", name="stored"),
    UniqueConstraint("message_id", "position"),
    tenant_key(),
    owned("message_id", "chat_messages"),
    Index("ix_chat_message_attachments_content", "account_id", "content_hash"),
    Index("ix_chat_message_attachments_stored", "settled_at", postgresql_where=sql("state = 'stored'")),
)
"""`position`: from 0, in the message's order. `content_hash`: SHA-256 in hex, the bytes' key within the account, where
the original had a `file_object_id`. `storage_url`: the key in the store, for operators; nobody downloads by it.
"""
