"""Fewer indexes on what every message writes: none that no query reads, none whose column changes with every message.

A session's `last_activity_at` changes with each: indexed, it costs an entry in every index of the table; not indexed, the
update stays on its page (a heap-only tuple), for which there is room now.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.drop_constraint(op.f("uq_chat_messages_session_id_client_id"), "chat_messages", type_="unique")
    op.create_index(
        "uq_chat_messages_client",
        "chat_messages",
        ["session_id", "client_id"],
        unique=True,
        postgresql_where=sa.text("client_id IS NOT NULL"),
    )
    op.drop_index("ix_chat_messages_twin", "chat_messages")
    op.drop_index("ix_outbox_age", "outbox")
    op.drop_index("ix_chat_sessions_recent", "chat_sessions")
    op.create_index("ix_chat_sessions_account", "chat_sessions", ["account_id"])
    for table in ("chat_sessions", "ai_conversations"):
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 70)")


def downgrade() -> None:
    """Take back."""
    for table in ("chat_sessions", "ai_conversations"):
        op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
    op.drop_index("ix_chat_sessions_account", "chat_sessions")
    op.create_index("ix_chat_sessions_recent", "chat_sessions", ["account_id", sa.text("last_activity_at DESC")])
    op.create_index("ix_outbox_age", "outbox", ["created_at"])
    op.create_index("ix_chat_messages_twin", "chat_messages", ["ai_message_id"])
    op.drop_index("uq_chat_messages_client", "chat_messages")
    op.create_unique_constraint(
        op.f("uq_chat_messages_session_id_client_id"), "chat_messages", ["session_id", "client_id"]
    )
