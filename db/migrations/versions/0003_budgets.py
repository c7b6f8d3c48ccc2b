"""Budgets for AI spend, and what is reserved of them by model requests under way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TENANT_TABLES = ("ai_budgets", "budget_reservations")

# For the sweepers, which serve all accounts: ids only.
STALE = """
    CREATE FUNCTION stale_reservations(older_than interval, at_most int)
    RETURNS TABLE (account_id uuid, turn_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT r.account_id, r.turn_id FROM budget_reservations r
      WHERE r.created_at < now() - older_than ORDER BY r.created_at LIMIT at_most
    $$
"""


def _app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def _create_budgets() -> None:
    op.create_table(
        "ai_budgets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("cap_tokens", sa.BigInteger(), nullable=False),
        sa.Column("spent_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("period_started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("period IN ('day', 'month', 'total')", name=op.f("ck_ai_budgets_period")),
        sa.CheckConstraint(
            "cap_tokens >= 0 AND spent_tokens >= 0 AND reserved_tokens >= 0", name=op.f("ck_ai_budgets_tokens")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "agent_id"],
            ["ai_agents.account_id", "ai_agents.id"],
            name=op.f("fk_ai_budgets_account_id_agent_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_budgets")),
        sa.UniqueConstraint("id", "account_id", name=op.f("uq_ai_budgets_id_account_id")),
    )
    op.create_index(
        "uq_ai_budgets_scope",
        "ai_budgets",
        ["account_id", "agent_id", "period"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )


def _create_reservations() -> None:
    op.create_table(
        "budget_reservations",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("budget_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "turn_id"],
            ["turns.account_id", "turns.id"],
            name=op.f("fk_budget_reservations_account_id_turn_id"),
        ),
        sa.PrimaryKeyConstraint("turn_id", "step", name=op.f("pk_budget_reservations")),
    )
    op.create_index("ix_budget_reservations_age", "budget_reservations", ["created_at"], unique=False)


def upgrade() -> None:
    """Apply."""
    role = _app_role()
    _create_budgets()
    _create_reservations()
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} USING (account_id = (SELECT app_account()))"
            " WITH CHECK (account_id = (SELECT app_account()))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}")
    op.execute(STALE)
    op.execute("REVOKE ALL ON FUNCTION stale_reservations(interval, int) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION stale_reservations(interval, int) TO {role}")


def downgrade() -> None:
    """Take back."""
    op.execute("DROP FUNCTION stale_reservations(interval, int)")
    op.drop_table("budget_reservations")
    op.drop_table("ai_budgets")
