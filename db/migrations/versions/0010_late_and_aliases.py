"""Messages that came too late to be answered, and the other names of a conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATE = "ck_inbound_events_state"
STATES = "'recorded', 'ignored', 'blocked', 'parked', 'quarantined', 'deferred'"


def _app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def _create() -> None:
    op.create_table(
        "session_aliases",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("session_key", sa.Text(), nullable=False),
        sa.Column("theirs_alone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "channel_id"],
            ["chat_channels.account_id", "chat_channels.id"],
            name=op.f("fk_session_aliases_account_id_channel_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_id", "alias", name=op.f("pk_session_aliases")),
    )
    op.create_index("ix_session_aliases_session", "session_aliases", ["channel_id", "session_key"])


def upgrade() -> None:
    """Apply."""
    op.add_column("chat_messages", sa.Column("late", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.drop_constraint(op.f(STATE), "inbound_events")
    op.create_check_constraint(op.f(STATE), "inbound_events", f"state IN ({STATES}, 'late')")
    _create()
    op.execute("ALTER TABLE session_aliases ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON session_aliases USING (account_id = (SELECT app_account()))"
        " WITH CHECK (account_id = (SELECT app_account()))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON session_aliases TO {_app_role()}")


def downgrade() -> None:
    """Take back. A message that was too late is one that was ignored, as before."""
    op.drop_table("session_aliases")
    op.drop_constraint(op.f(STATE), "inbound_events")
    op.execute("UPDATE inbound_events SET state = 'ignored' WHERE state = 'late'")
    op.create_check_constraint(op.f(STATE), "inbound_events", f"state IN ({STATES})")
    op.drop_column("chat_messages", "late")
