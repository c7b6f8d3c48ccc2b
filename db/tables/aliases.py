"""Under which names a conversation is found, where a platform has several for one person (db/functions/15_people.sql).

`theirs_alone`: nobody else is ever given this name.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKeyConstraint, Index, Table, Text, Uuid, text

from db.tables.base import account, metadata, moment

session_aliases = Table(
    "session_aliases",
    metadata,
    Column("channel_id", Uuid, primary_key=True),
    Column("alias", Text, primary_key=True),
    account(),
    Column("session_key", Text, nullable=False),
    Column("theirs_alone", Boolean, nullable=False, server_default=text("false")),
    moment("created_at", required=True),
    ForeignKeyConstraint(
        ["account_id", "channel_id"], ["chat_channels.account_id", "chat_channels.id"], ondelete="CASCADE"
    ),
    Index("ix_session_aliases_session", "channel_id", "session_key"),
)
