"""Names that are asked for, files that go after their time, and placeholders whose reply is settled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from db.migrations.walls import app_role, wall

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_STATE = "ck_chat_message_attachments_state"

# Whoever lets go of a file, however that happens, leaves a note; the sweeper looks whether anything else names it.
DROPPED = """
    CREATE FUNCTION file_dropped() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
    BEGIN
      IF OLD.content_hash IS NOT NULL THEN
        INSERT INTO file_garbage (account_id, digest, due_at)
        VALUES (OLD.account_id, OLD.content_hash, now() + interval '1 hour')
        ON CONFLICT (account_id, digest) DO UPDATE SET due_at = excluded.due_at;
      END IF;
      RETURN NULL;
    END $$
"""
TRIGGERS = (
    "CREATE TRIGGER dropped AFTER DELETE ON chat_uploads FOR EACH ROW EXECUTE FUNCTION file_dropped()",
    "CREATE TRIGGER dropped AFTER DELETE ON chat_message_attachments FOR EACH ROW EXECUTE FUNCTION file_dropped()",
    (
        "CREATE TRIGGER expired AFTER UPDATE OF content_hash ON chat_message_attachments FOR EACH ROW"
        " WHEN (OLD.content_hash IS DISTINCT FROM NEW.content_hash) EXECUTE FUNCTION file_dropped()"
    ),
)
# For the sweepers, which serve all accounts: ids only.
SWEPT = {
    "nameless_sessions(platforms text[], at_most int)": """
        RETURNS TABLE (account_id uuid, session_id uuid) LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = public, pg_temp AS $$
          SELECT s.account_id, s.id FROM chat_sessions s JOIN chat_channels c ON c.id = s.channel_id
          WHERE s.platform_username IS NULL AND s.profile_due_at <= now() AND c.platform = ANY(platforms)
          ORDER BY s.profile_due_at LIMIT at_most
        $$
    """,
    "unnamed_uploads(older_than interval, at_most int)": """
        RETURNS TABLE (account_id uuid, upload_id uuid) LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = public, pg_temp AS $$
          SELECT u.account_id, u.id FROM chat_uploads u
          WHERE u.created_at < now() - older_than AND NOT EXISTS (
            SELECT 1 FROM chat_message_attachments f JOIN chat_messages m ON m.id = f.message_id
            WHERE f.account_id = u.account_id AND f.content_hash = u.content_hash AND f.state = 'stored'
              AND m.session_id = u.session_id AND m.direction = 'outbound')
          ORDER BY u.created_at LIMIT at_most
        $$
    """,
    "old_files(older_than interval, at_most int)": """
        RETURNS TABLE (account_id uuid, attachment_id uuid) LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = public, pg_temp AS $$
          SELECT f.account_id, f.id FROM chat_message_attachments f
          WHERE f.state = 'stored' AND f.settled_at < now() - older_than ORDER BY f.settled_at LIMIT at_most
        $$
    """,
    "garbage_files(at_most int)": """
        RETURNS TABLE (account_id uuid, digest text) LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = public, pg_temp AS $$
          SELECT g.account_id, g.digest FROM file_garbage g WHERE g.due_at < now() ORDER BY g.due_at LIMIT at_most
        $$
    """,
    "settled_previews(at_most int)": """
        RETURNS TABLE (account_id uuid, turn_id uuid) LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = public, pg_temp AS $$
          SELECT p.account_id, p.turn_id FROM reply_previews p
          JOIN chat_messages m ON m.turn_id = p.turn_id AND m.direction = 'outbound'
          JOIN message_deliveries d ON d.message_id = m.id AND d.generation = m.generation AND d.part_no = 1
          WHERE p.status = 'shown' AND d.status IN ('sent', 'delivered', 'read')
            AND d.platform_message_id = p.platform_message_id AND d.settled_at < now() - interval '1 minute'
          ORDER BY p.created_at LIMIT at_most
        $$
    """,
}


def _types(signature: str) -> str:
    """Return a function's name with the types of its arguments alone."""
    name, _, arguments = signature.rstrip(")").partition("(")
    return f"{name}({', '.join(one.split(' ', 1)[1] for one in arguments.split(', '))})"


def _states(*names: str) -> None:
    op.drop_constraint(op.f(_STATE), "chat_message_attachments")
    listed = ", ".join(f"'{name}'" for name in names)
    op.create_check_constraint(op.f(_STATE), "chat_message_attachments", f"state IN ({listed})")


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "chat_sessions", sa.Column("profile_due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"))
    )
    op.create_index(
        "ix_chat_sessions_nameless",
        "chat_sessions",
        ["profile_due_at"],
        postgresql_where=sa.text("platform_username IS NULL"),
    )
    _states("waiting", "stored", "refused", "failed", "expired")
    op.create_index(
        "ix_chat_message_attachments_stored",
        "chat_message_attachments",
        ["settled_at"],
        postgresql_where=sa.text("state = 'stored'"),
    )
    op.create_index("ix_chat_uploads_created_at", "chat_uploads", ["created_at"])
    op.create_table(
        "file_garbage",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "digest", name=op.f("pk_file_garbage")),
    )
    op.create_index("ix_file_garbage_due_at", "file_garbage", ["due_at"])
    wall("file_garbage")
    op.execute(DROPPED)
    for trigger in TRIGGERS:
        op.execute(trigger)
    for signature, body in SWEPT.items():
        op.execute(f"CREATE FUNCTION {signature} {body}")
        op.execute(f"REVOKE ALL ON FUNCTION {_types(signature)} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {_types(signature)} TO {app_role()}")


def downgrade() -> None:
    """Take back."""
    for signature in SWEPT:
        op.execute(f"DROP FUNCTION {_types(signature)}")
    op.execute("DROP TRIGGER dropped ON chat_uploads")
    op.execute("DROP TRIGGER dropped ON chat_message_attachments")
    op.execute("DROP TRIGGER expired ON chat_message_attachments")
    op.execute("DROP FUNCTION file_dropped()")
    op.drop_table("file_garbage")
    op.drop_index("ix_chat_uploads_created_at", "chat_uploads")
    op.drop_index("ix_chat_message_attachments_stored", "chat_message_attachments")
    op.execute("UPDATE chat_message_attachments SET state = 'failed' WHERE state = 'expired'")
    _states("waiting", "stored", "refused", "failed")
    op.drop_index("ix_chat_sessions_nameless", "chat_sessions")
    op.drop_column("chat_sessions", "profile_due_at")
