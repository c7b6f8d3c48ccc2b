"""What we say besides text: a part's payload, operators' uploads, and when a person last wrote."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def _create_uploads() -> None:
    op.create_table(
        "chat_uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("file_size > 0", name=op.f("ck_chat_uploads_file_size")),
        sa.ForeignKeyConstraint(
            ["account_id", "session_id"],
            ["chat_sessions.account_id", "chat_sessions.id"],
            name=op.f("fk_chat_uploads_account_id_session_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_chat_uploads")),
    )
    op.create_index("ix_chat_uploads_content", "chat_uploads", ["account_id", "content_hash"])


def upgrade() -> None:
    """Apply."""
    op.add_column("message_deliveries", sa.Column("payload", postgresql.JSONB(), nullable=True))
    op.add_column("message_deliveries", sa.Column("upload_ref", sa.Text(), nullable=True))
    op.add_column("chat_sessions", sa.Column("last_inbound_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE chat_sessions s SET last_inbound_at = m.at FROM (SELECT session_id, max(created_at) AS at"
        " FROM chat_messages WHERE direction = 'inbound' GROUP BY session_id) m WHERE m.session_id = s.id"
    )
    _create_uploads()
    op.execute("ALTER TABLE chat_uploads ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON chat_uploads USING (account_id = (SELECT app_account()))"
        " WITH CHECK (account_id = (SELECT app_account()))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON chat_uploads TO {_app_role()}")


def downgrade() -> None:
    """Take back."""
    op.drop_table("chat_uploads")
    op.drop_column("chat_sessions", "last_inbound_at")
    op.drop_column("message_deliveries", "upload_ref")
    op.drop_column("message_deliveries", "payload")
