"""One index instead of two: the key that foreign keys point at, (id, account_id), becomes the primary key."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = (
    "ai_agents", "ai_budgets", "ai_conversations", "ai_messages", "chat_channels", "chat_messages", "chat_sessions",
    "inbound_events", "tool_approvals", "turns", "webhook_deliveries",
)  # fmt: skip

# Foreign keys hold on to the index that they were made with, so they are taken off and put back.
_SWAP = """
    DO $$
    DECLARE
      tables regclass[] := CAST(ARRAY[{tables}] AS regclass[]);
      held record;
      owner regclass;
    BEGIN
      CREATE TEMPORARY TABLE held ON COMMIT DROP AS
        SELECT CAST(conrelid AS regclass) AS referrer, conname, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint WHERE contype = 'f' AND confrelid = ANY(tables);
      FOR held IN SELECT * FROM held LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', held.referrer, held.conname);
      END LOOP;
      FOREACH owner IN ARRAY tables LOOP
        EXECUTE format({change}, owner);
      END LOOP;
      FOR held IN SELECT * FROM held LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', held.referrer, held.conname, held.definition);
      END LOOP;
    END $$
"""
_ONE = (
    "'ALTER TABLE %1$s DROP CONSTRAINT uq_%1$s_id_account_id, DROP CONSTRAINT pk_%1$s,"
    " ADD CONSTRAINT pk_%1$s PRIMARY KEY (id, account_id)'"
)
_TWO = (
    "'ALTER TABLE %1$s DROP CONSTRAINT pk_%1$s, ADD CONSTRAINT pk_%1$s PRIMARY KEY (id),"
    " ADD CONSTRAINT uq_%1$s_id_account_id UNIQUE (id, account_id)'"
)


def _swap(change: str) -> None:
    op.execute(_SWAP.format(tables=", ".join(f"'{table}'" for table in TABLES), change=change))


def upgrade() -> None:
    """Apply."""
    _swap(_ONE)


def downgrade() -> None:
    """Take back."""
    _swap(_TWO)
