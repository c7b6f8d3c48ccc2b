"""Placeholders that show a reply while it is being made, so that none is forgotten when a worker dies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# For the sweepers, which serve all accounts: ids only. Of nothing any more: the turn ended without a reply, a person
# took over, or the reply itself was refused.
STRAY = """
    CREATE FUNCTION stray_previews(at_most int) RETURNS TABLE (account_id uuid, turn_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT p.account_id, p.turn_id FROM reply_previews p
      JOIN turns t ON t.id = p.turn_id
      JOIN chat_sessions s ON s.id = p.session_id
      LEFT JOIN chat_messages m ON m.turn_id = p.turn_id AND m.direction = 'outbound'
      LEFT JOIN message_deliveries d ON d.message_id = m.id AND d.generation = m.generation AND d.part_no = 1
      WHERE (p.status = 'shown' OR (p.status IN ('sending', 'leaving') AND p.due_at < now())) AND (
        p.status = 'leaving' OR d.status = 'dead'
        OR (m.id IS NULL AND (t.status <> 'running' OR s.owner <> 'ai' OR s.status = 'blocked')))
      ORDER BY p.created_at LIMIT at_most
    $$
"""


def _app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def _owned(column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["account_id", column],
        [f"{parent}.account_id", f"{parent}.id"],
        name=op.f(f"fk_reply_previews_account_id_{column}"),
    )


def _create() -> None:
    op.create_table(
        "reply_previews",
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="sending", nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("reply_to", postgresql.JSONB(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("platform_message_id", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('sending', 'shown', 'leaving', 'lost', 'left')", name=op.f("ck_reply_previews_status")
        ),
        _owned("turn_id", "turns"),
        _owned("session_id", "chat_sessions"),
        _owned("channel_id", "chat_channels"),
        sa.PrimaryKeyConstraint("turn_id", name=op.f("pk_reply_previews")),
    )
    op.create_index(
        "ix_reply_previews_open",
        "reply_previews",
        ["due_at"],
        postgresql_where=sa.text("status IN ('sending', 'shown', 'leaving')"),
    )


def upgrade() -> None:
    """Apply."""
    role = _app_role()
    _create()
    op.execute("ALTER TABLE reply_previews ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON reply_previews USING (account_id = (SELECT app_account()))"
        " WITH CHECK (account_id = (SELECT app_account()))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON reply_previews TO {role}")
    op.execute(STRAY)
    op.execute("REVOKE ALL ON FUNCTION stray_previews(int) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION stray_previews(int) TO {role}")


def downgrade() -> None:
    """Take back."""
    op.execute("DROP FUNCTION stray_previews(int)")
    op.drop_table("reply_previews")
