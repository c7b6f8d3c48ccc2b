"""Tool calls of agents that wait for a person's word."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def _create() -> None:
    op.create_table(
        "tool_approvals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'approved', 'rejected', 'expired', 'cancelled')",
            name=op.f("ck_tool_approvals_status"),
        ),
        sa.CheckConstraint("(status = 'pending') = (resolved_at IS NULL)", name=op.f("ck_tool_approvals_resolved")),
        sa.ForeignKeyConstraint(
            ["account_id", "turn_id"],
            ["turns.account_id", "turns.id"],
            name=op.f("fk_tool_approvals_account_id_turn_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "session_id"],
            ["chat_sessions.account_id", "chat_sessions.id"],
            name=op.f("fk_tool_approvals_account_id_session_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tool_approvals")),
        sa.UniqueConstraint("turn_id", "step", name=op.f("uq_tool_approvals_turn_id_step")),
        sa.UniqueConstraint("id", "account_id", name=op.f("uq_tool_approvals_id_account_id")),
    )
    op.create_index(
        "ix_tool_approvals_pending",
        "tool_approvals",
        ["session_id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )


def upgrade() -> None:
    """Apply."""
    _create()
    op.execute("ALTER TABLE tool_approvals ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON tool_approvals USING (account_id = (SELECT app_account()))"
        " WITH CHECK (account_id = (SELECT app_account()))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON tool_approvals TO {_app_role()}")


def downgrade() -> None:
    """Take back."""
    op.drop_table("tool_approvals")
