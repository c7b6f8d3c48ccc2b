"""Sockets that we hold for channels: the lease, the place to go on from, and how each stands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# For the sweepers, which serve all accounts: ids only.
UNHELD = """
    CREATE FUNCTION unheld_connections(kinds text[], older_than interval, at_most int)
    RETURNS TABLE (account_id uuid, channel_id uuid, platform text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT c.account_id, c.id, c.platform FROM chat_channels c
      LEFT JOIN channel_connections x ON x.channel_id = c.id
      WHERE (c.platform = ANY(kinds) OR c.platform || ':' || (c.configuration ->> 'transport') = ANY(kinds))
        AND c.status <> 'disconnected' AND c.credentials IS NOT NULL
        AND (x.channel_id IS NULL OR (x.state <> 'refused' AND x.held_at < now() - older_than))
      ORDER BY x.held_at NULLS FIRST LIMIT at_most
    $$
"""


def _app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def _create() -> None:
    op.create_table(
        "channel_connections",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'connecting'"), nullable=False),
        sa.Column("position", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state IN ('connecting', 'connected', 'lost', 'refused')", name=op.f("ck_channel_connections_state")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "channel_id"],
            ["chat_channels.account_id", "chat_channels.id"],
            name=op.f("fk_channel_connections_account_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_channel_connections")),
    )


def upgrade() -> None:
    """Apply."""
    role = _app_role()
    _create()
    op.execute("ALTER TABLE channel_connections ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON channel_connections USING (account_id = (SELECT app_account()))"
        " WITH CHECK (account_id = (SELECT app_account()))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON channel_connections TO {role}")
    op.execute(UNHELD)
    op.execute("REVOKE ALL ON FUNCTION unheld_connections(text[], interval, int) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION unheld_connections(text[], interval, int) TO {role}")


def downgrade() -> None:
    """Take back."""
    op.execute("DROP FUNCTION unheld_connections(text[], interval, int)")
    op.drop_table("channel_connections")
