"""Files that something has let go of: deleted from the store after a while, unless something names them by then."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, PrimaryKeyConstraint, Table, Text

from db.tables.base import account, metadata

file_garbage = Table(
    "file_garbage",
    metadata,
    account(),
    Column("digest", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("account_id", "digest"),
    Index("ix_file_garbage_due_at", "due_at"),
)
"""Written by triggers of the tables that name files (migration 0015). Who is about to keep a file puts `due_at` off first."""
