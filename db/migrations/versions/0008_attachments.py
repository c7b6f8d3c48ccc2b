"""Files of messages: how each stands, and under which hash its bytes are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def _create() -> None:
    op.create_table(
        "chat_message_attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("attachment_type", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.Text(), server_default=sa.text("'application/octet-stream'"), nullable=False),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("platform_file_id", sa.Text(), nullable=True),
        sa.Column("storage_url", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("file_size", sa.BigInteger(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("scanned_for_malware", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("malware_detected", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("transcription", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "attachment_type IN ('image', 'audio', 'video', 'document')",
            name=op.f("ck_chat_message_attachments_attachment_type"),
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'stored', 'refused', 'failed')", name=op.f("ck_chat_message_attachments_state")
        ),
        sa.CheckConstraint("file_size >= 0", name=op.f("ck_chat_message_attachments_file_size")),
        sa.CheckConstraint(
            "state <> 'stored' OR content_hash IS NOT NULL", name=op.f("ck_chat_message_attachments_stored")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "message_id"],
            ["chat_messages.account_id", "chat_messages.id"],
            name=op.f("fk_chat_message_attachments_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_chat_message_attachments")),
        sa.UniqueConstraint("message_id", "position", name=op.f("uq_chat_message_attachments_message_id_position")),
    )
    op.create_index("ix_chat_message_attachments_content", "chat_message_attachments", ["account_id", "content_hash"])


def upgrade() -> None:
    """Apply."""
    _create()
    op.execute("ALTER TABLE chat_message_attachments ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON chat_message_attachments USING (account_id = (SELECT app_account()))"
        " WITH CHECK (account_id = (SELECT app_account()))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON chat_message_attachments TO {_app_role()}")


def downgrade() -> None:
    """Take back."""
    op.drop_table("chat_message_attachments")
