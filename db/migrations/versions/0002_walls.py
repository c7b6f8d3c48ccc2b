"""Row-level security, the few functions that may look across accounts, and what the app role is granted."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import inspect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TENANT_TABLES = (
    "ai_agents",
    "ai_conversations",
    "ai_messages",
    "chat_blacklists",
    "chat_channels",
    "chat_messages",
    "chat_sessions",
    "inbound_events",
    "message_deliveries",
    "outbox",
    "service_tokens",
    "turn_steps",
    "turns",
    "webhook_deliveries",
)

# Each SECURITY DEFINER function answers one question that must be asked before the account is known, or by the
# sweepers that serve all accounts; it returns ids, or the one row that its secret argument names.
FUNCTIONS = (
    """
    CREATE FUNCTION app_account() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT NULLIF(current_setting('app.account_id', true), '')::uuid $$
    """,
    """
    CREATE FUNCTION open_channel(token_hash bytea) RETURNS SETOF chat_channels
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE hit chat_channels;
    BEGIN
      SELECT * INTO hit FROM chat_channels c WHERE c.webhook_token_hash = token_hash;
      IF FOUND THEN
        PERFORM set_config('app.account_id', hit.account_id::text, true);
        RETURN NEXT hit;
      END IF;
    END $$
    """,
    """
    CREATE FUNCTION find_login(login_email text)
    RETURNS TABLE (user_id uuid, email text, name text, password_hash text, account_id uuid, account_name text, role text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT u.id, u.email, u.name, u.password_hash, m.account_id, a.name, m.role
      FROM users u JOIN memberships m ON m.user_id = u.id JOIN accounts a ON a.id = m.account_id
      WHERE lower(u.email) = lower(login_email) AND u.is_active ORDER BY m.created_at
    $$
    """,
    """
    CREATE FUNCTION open_principal(who uuid, within uuid, token text, issued_at timestamptz)
    RETURNS TABLE (email text, name text, role text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    BEGIN
      PERFORM set_config('app.account_id', within::text, true);
      RETURN QUERY
        SELECT u.email, u.name, m.role FROM users u JOIN memberships m ON m.user_id = u.id
        WHERE u.id = who AND m.account_id = within AND u.is_active
          AND (u.tokens_valid_after IS NULL OR u.tokens_valid_after <= issued_at)
          AND NOT EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.token_id = token);
    END $$
    """,
    """
    CREATE FUNCTION open_service(hash bytea)
    RETURNS TABLE (id uuid, account_id uuid, name text, permissions text[], stream_prefixes text[])
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    BEGIN
      RETURN QUERY
        UPDATE service_tokens t SET last_used_at = now() WHERE t.token_hash = hash AND t.revoked_at IS NULL
        RETURNING t.id, t.account_id, t.name, t.permissions, t.stream_prefixes;
    END $$
    """,
    """
    CREATE FUNCTION revoke_token(token text, until timestamptz) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
      INSERT INTO revoked_tokens (token_id, expires_at) VALUES (token, until) ON CONFLICT DO NOTHING;
      DELETE FROM revoked_tokens WHERE expires_at < now() - interval '1 day';
    $$
    """,
    """
    CREATE FUNCTION waiting_aggregates(older_than interval, at_most int)
    RETURNS TABLE (account_id uuid, aggregate text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT o.account_id, o.aggregate FROM outbox o
      GROUP BY o.account_id, o.aggregate HAVING min(o.created_at) <= now() - older_than
      ORDER BY min(o.id) LIMIT at_most
    $$
    """,
    """
    CREATE FUNCTION due_deferred(at_most int) RETURNS TABLE (account_id uuid, message_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT m.account_id, m.id FROM chat_messages m
      WHERE m.deferred_until <= now() ORDER BY m.deferred_until, m.order_key LIMIT at_most
    $$
    """,
    """
    CREATE FUNCTION outbox_backlog() RETURNS TABLE (waiting bigint, oldest_age_s double precision)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT count(*), COALESCE(EXTRACT(EPOCH FROM now() - min(created_at)), 0)::double precision FROM outbox
    $$
    """,
)
FUNCTION_NAMES = (
    "open_channel(bytea)",
    "find_login(text)",
    "open_principal(uuid, uuid, text, timestamptz)",
    "open_service(bytea)",
    "revoke_token(text, timestamptz)",
    "waiting_aggregates(interval, int)",
    "due_deferred(int)",
    "outbox_backlog()",
)


def _app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def upgrade() -> None:
    """Apply."""
    role = _app_role()
    op.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    for function in FUNCTIONS:
        op.execute(function)
    op.execute(f"GRANT EXECUTE ON FUNCTION app_account() TO {role}")
    for name in FUNCTION_NAMES:
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {role}")
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} USING (account_id = (SELECT app_account()))"
            " WITH CHECK (account_id = (SELECT app_account()))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}")
    op.execute("ALTER TABLE accounts ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY own ON accounts USING (id = (SELECT app_account()))")
    op.execute("ALTER TABLE memberships ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY tenant ON memberships USING (account_id = (SELECT app_account()))")
    op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY colleagues ON users USING (id IN (SELECT user_id FROM memberships))")
    op.execute(f"GRANT SELECT ON accounts, memberships TO {role}")
    op.execute(f"GRANT SELECT (id, email, name, is_active, created_at) ON users TO {role}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON worker_heartbeats TO {role}")
    op.execute(f"GRANT SELECT ON alembic_version TO {role}")
    # Rows live for milliseconds here: vacuum by count, or every claim wades through the dead.
    op.execute(
        "ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,"
        " autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000)"
    )


def downgrade() -> None:
    """Take back."""
    role = _app_role()
    tables = set(inspect(op.get_bind()).get_table_names())
    for table in sorted(tables):
        op.execute(f"REVOKE ALL ON {table} FROM {role}")
    for table in TENANT_TABLES:
        op.execute(f"DROP POLICY tenant ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for table, policy in (("accounts", "own"), ("memberships", "tenant"), ("users", "colleagues")):
        op.execute(f"DROP POLICY {policy} ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for name in FUNCTION_NAMES:
        op.execute(f"DROP FUNCTION {name}")
    op.execute("DROP FUNCTION app_account()")
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {role}")
