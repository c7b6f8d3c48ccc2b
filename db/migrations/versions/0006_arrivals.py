"""An arrival is one row of the outbox, shaped into a signal and events when it leaves (flow.arrival_rows)."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_CONSTRAINT = "ck_outbox_kind"
# Readers fetch what they were not told of; that a session has something to answer must not be lost.
_AS_SIGNALS = """
    INSERT INTO outbox (account_id, aggregate, aggregate_version, kind, name, streams, data, trace_id)
    SELECT o.account_id, o.aggregate, o.aggregate_version, 'signal', o.name, o.streams, jsonb_build_object(
        'session_id', m.session_id, 'channel_id', m.channel_id, 'platform', c.platform, 'arrival_no', m.arrival_no,
        'order_key', m.order_key, 'message_id', m.id), o.trace_id
    FROM outbox o JOIN chat_messages m ON m.id = CAST(o.data ->> 'message_id' AS uuid)
    JOIN chat_channels c ON c.id = m.channel_id
    WHERE o.kind = 'arrival' AND m.arrival_no IS NOT NULL ORDER BY o.id
"""


def upgrade() -> None:
    """Apply."""
    op.drop_constraint(op.f(_CONSTRAINT), "outbox")
    op.create_check_constraint(op.f(_CONSTRAINT), "outbox", "kind IN ('signal', 'event', 'arrival')")


def downgrade() -> None:
    """Take back."""
    op.execute(_AS_SIGNALS)
    op.execute("DELETE FROM outbox WHERE kind = 'arrival'")
    op.drop_constraint(op.f(_CONSTRAINT), "outbox")
    op.create_check_constraint(op.f(_CONSTRAINT), "outbox", "kind IN ('signal', 'event')")
