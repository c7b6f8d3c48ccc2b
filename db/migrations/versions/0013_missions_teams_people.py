"""Missions, teams of agents, notifications, subscriptions, alerts; whether an account is active; platform administrators."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from db.migrations.walls import app_role, wall

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

OPENED = "open_principal(uuid, uuid, text, timestamptz)"
# People of an account that is not active do not get in; nor does anybody by a flag that was taken away.
OPEN = """
    CREATE FUNCTION open_principal(who uuid, within uuid, token text, issued_at timestamptz)
    RETURNS TABLE (email text, name text, role text, platform_admin boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    BEGIN
      PERFORM set_config('app.account_id', within::text, true);
      RETURN QUERY
        SELECT u.email, u.name, m.role, u.platform_admin
        FROM users u JOIN memberships m ON m.user_id = u.id JOIN accounts a ON a.id = m.account_id
        WHERE u.id = who AND m.account_id = within AND u.is_active AND a.status = 'active'
          AND (u.tokens_valid_after IS NULL OR u.tokens_valid_after <= issued_at)
          AND NOT EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.token_id = token);
    END $$
"""
OPEN_BEFORE = """
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
"""
LOGIN = """
    CREATE OR REPLACE FUNCTION find_login(login_email text)
    RETURNS TABLE (user_id uuid, email text, name text, password_hash text, account_id uuid, account_name text, role text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT u.id, u.email, u.name, u.password_hash, m.account_id, a.name, m.role
      FROM users u JOIN memberships m ON m.user_id = u.id JOIN accounts a ON a.id = m.account_id
      WHERE lower(u.email) = lower(login_email) AND u.is_active{active} ORDER BY m.created_at
    $$
"""
SERVICE = """
    CREATE OR REPLACE FUNCTION open_service(hash bytea)
    RETURNS TABLE (id uuid, account_id uuid, name text, permissions text[], stream_prefixes text[])
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    BEGIN
      RETURN QUERY
        UPDATE service_tokens t SET last_used_at = now() WHERE t.token_hash = hash AND t.revoked_at IS NULL{active}
        RETURNING t.id, t.account_id, t.name, t.permissions, t.stream_prefixes;
    END $$
"""
SERVED = " AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = t.account_id AND a.status = 'active')"
# What a platform administrator may see across accounts. Each asks the flag itself, as it is now: nobody gets a row by
# a permission that a process remembers.
REVENUE = """
    CREATE FUNCTION monthly_price(price numeric, every text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
      SELECT CASE every WHEN 'year' THEN price / 12 ELSE price END
    $$
"""
ADMIN = """
    CREATE FUNCTION is_platform_admin(who uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT EXISTS (SELECT 1 FROM users u WHERE u.id = who AND u.is_active AND u.platform_admin)
    $$
"""
# Of the accounts that whoever asks may see: of the entered one, or of all in the functions below.
CUSTOMERS = """
    CREATE VIEW customers WITH (security_invoker = true) AS
    SELECT a.id, a.name, a.slug AS subdomain, a.status, a.created_at, a.updated_at, a.version,
      (SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id
       WHERE m.account_id = a.id AND m.role = 'owner' ORDER BY m.created_at, u.id LIMIT 1) AS owner_email,
      (SELECT count(*) FROM memberships m WHERE m.account_id = a.id) AS total_users,
      p.name AS plan, s.status AS subscription_status,
      CASE WHEN s.status IN ('active', 'past_due') THEN monthly_price(p.price, p.interval) ELSE 0 END AS mrr
    FROM accounts a
    LEFT JOIN account_subscriptions s ON s.account_id = a.id LEFT JOIN plans p ON p.id = s.plan_id
"""
ALL_CUSTOMERS = """
    CREATE FUNCTION all_customers(who uuid) RETURNS SETOF customers
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT c.* FROM customers c WHERE is_platform_admin(who)
    $$
"""
# Figures of the accounts that whoever asks may see, over the last days. An answer's time: from the last that the person
# said before it.
COUNTED = """
      sessions_total bigint, sessions_opened bigint, sessions_active bigint, sessions_closed bigint, unaided bigint,
      messages_inbound bigint, messages_outbound bigint, answer_time_median_s float8, answer_time_p95_s float8,
      input_tokens bigint, output_tokens bigint, cost_usd numeric, mrr numeric, paying bigint, cancelled bigint,
      people_now bigint, people_before bigint, people_lost bigint
"""
FIGURES = f"""
    CREATE FUNCTION figures(days int) RETURNS TABLE ({COUNTED})
    LANGUAGE sql STABLE AS $$
      WITH since AS (SELECT now() - make_interval(days => days) AS start, now() - make_interval(days => 2 * days) AS before),
      said AS (
        SELECT m.session_id, m.direction, m.created_at, COALESCE(m.sent_at, m.created_at) AS reached_at,
          lag(m.direction) OVER w AS previous, lag(m.created_at) OVER w AS previous_at
        FROM chat_messages m, since WHERE m.created_at >= since.before
        WINDOW w AS (PARTITION BY m.session_id ORDER BY m.created_at, m.id)),
      answers AS (
        SELECT EXTRACT(EPOCH FROM said.reached_at - said.previous_at)::float8 AS seconds FROM said, since
        WHERE said.direction = 'outbound' AND said.previous = 'inbound' AND said.created_at >= since.start),
      people AS (
        SELECT s.channel_id, s.platform_user_id, bool_or(said.created_at >= since.start) AS now,
          bool_or(said.created_at < since.start) AS before
        FROM said JOIN chat_sessions s ON s.id = said.session_id, since WHERE said.direction = 'inbound' GROUP BY 1, 2)
      SELECT
        (SELECT count(*) FROM chat_sessions),
        (SELECT count(*) FROM chat_sessions s, since WHERE s.created_at >= since.start),
        (SELECT count(*) FROM chat_sessions s WHERE s.status = 'active'),
        (SELECT count(*) FROM chat_sessions s, since WHERE s.status = 'closed' AND s.closed_at >= since.start),
        (SELECT count(*) FROM chat_sessions s, since WHERE s.status = 'closed' AND s.closed_at >= since.start AND NOT EXISTS (
          SELECT 1 FROM chat_messages m
          WHERE m.session_id = s.id AND m.direction = 'outbound' AND m.author_user_id IS NOT NULL)),
        (SELECT count(*) FROM said, since WHERE said.direction = 'inbound' AND said.created_at >= since.start),
        (SELECT count(*) FROM said, since WHERE said.direction = 'outbound' AND said.created_at >= since.start),
        (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FROM answers),
        (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) FROM answers),
        (SELECT COALESCE(sum(t.input_tokens), 0) FROM turns t, since WHERE t.created_at >= since.start),
        (SELECT COALESCE(sum(t.output_tokens), 0) FROM turns t, since WHERE t.created_at >= since.start),
        (SELECT COALESCE(sum(a.cost_usd), 0) FROM ai_messages a, since WHERE a.created_at >= since.start),
        (SELECT COALESCE(sum(c.mrr), 0) FROM customers c),
        (SELECT count(*) FROM account_subscriptions s WHERE s.status IN ('active', 'past_due')),
        (SELECT count(*) FROM account_subscriptions s, since WHERE s.status = 'canceled' AND s.canceled_at >= since.start),
        (SELECT count(*) FROM people WHERE people.now),
        (SELECT count(*) FROM people WHERE people.before),
        (SELECT count(*) FROM people WHERE people.before AND NOT people.now)
    $$
"""  # noqa: S608 - constant columns
ALL_FIGURES = f"""
    CREATE FUNCTION all_figures(who uuid, days int) RETURNS TABLE ({COUNTED})
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT f.* FROM figures(days) f WHERE is_platform_admin(who)
    $$
"""  # noqa: S608 - constant columns
FUNCTIONS = (
    (REVENUE, "monthly_price(numeric, text)"),
    (ADMIN, "is_platform_admin(uuid)"),
    (ALL_CUSTOMERS, "all_customers(uuid)"),
    (FIGURES, "figures(int)"),
    (ALL_FIGURES, "all_figures(uuid, int)"),
)
WALLED = (
    "agent_teams", "agent_team_members", "team_channels", "team_executions", "team_messages", "ai_missions",
    "ai_mission_approvals", "notifications", "account_subscriptions", "analytics_alerts",
)  # fmt: skip


def _grant(function: str, role: str) -> None:
    op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")


def upgrade() -> None:
    """Apply."""
    role = app_role()
    op.add_column("users", sa.Column("platform_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("accounts", sa.Column("status", sa.Text(), server_default="active", nullable=False))
    op.add_column("accounts", sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False))
    op.add_column(
        "accounts",
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_accounts_status"), "accounts", sa.text("status IN ('active', 'suspended', 'cancelled')")
    )
    op.execute(f"GRANT UPDATE (status, version, updated_at) ON accounts TO {role}")
    for create in CREATED:
        create()
    for table in WALLED:
        wall(table)
    op.execute(f"GRANT SELECT ON plans TO {role}")
    for definition, name in FUNCTIONS:
        if definition is ALL_CUSTOMERS:
            op.execute(CUSTOMERS)
            op.execute(f"GRANT SELECT ON customers TO {role}")
        op.execute(definition)
        _grant(name, role)
    op.execute(f"DROP FUNCTION {OPENED}")
    op.execute(OPEN)
    _grant(OPENED, role)
    op.execute(LOGIN.format(active=" AND a.status = 'active'"))
    op.execute(SERVICE.format(active=SERVED))


def downgrade() -> None:
    """Take back."""
    role = app_role()
    op.execute(SERVICE.format(active=""))
    op.execute(LOGIN.format(active=""))
    op.execute(f"DROP FUNCTION {OPENED}")
    op.execute(OPEN_BEFORE)
    _grant(OPENED, role)
    for definition, name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
        if definition is ALL_CUSTOMERS:
            op.execute("DROP VIEW customers")
    for table in (
        "analytics_alerts", "account_subscriptions", "plans", "notifications", "ai_mission_approvals", "ai_missions",
        "team_messages", "team_executions", "team_channels", "agent_team_members", "agent_teams",
    ):  # fmt: skip
        op.drop_table(table)
    op.execute(f"REVOKE UPDATE (status, version, updated_at) ON accounts FROM {role}")
    op.drop_constraint(op.f("ck_accounts_status"), "accounts")
    for column in ("updated_at", "version", "status"):
        op.drop_column("accounts", column)
    op.drop_column("users", "platform_admin")


def _agent_teams() -> None:
    op.create_table(
        "agent_teams",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("team_type", sa.Text(), server_default="hierarchical", nullable=False),
        sa.Column("coordination_strategy", sa.Text(), server_default="manager_led", nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("parallel_mode", sa.Text(), server_default="standard", nullable=False),
        sa.Column("max_parallel_tasks", sa.Integer(), server_default=sa.text("3"), nullable=False),
        sa.Column("task_timeout_seconds", sa.Integer(), server_default=sa.text("300"), nullable=False),
        sa.Column("configuration", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "coordination_strategy IN ('manager_led', 'consensus', 'auction', 'round_robin', 'priority_based', 'pressure_driven', 'self_organizing')",
            name=op.f("ck_agent_teams_coordination_strategy"),
        ),
        sa.CheckConstraint("parallel_mode IN ('standard', 'worktree')", name=op.f("ck_agent_teams_parallel_mode")),
        sa.CheckConstraint("status IN ('active', 'inactive', 'archived')", name=op.f("ck_agent_teams_status")),
        sa.CheckConstraint(
            "team_type IN ('hierarchical', 'mesh', 'sequential', 'parallel', 'workspace')",
            name=op.f("ck_agent_teams_team_type"),
        ),
        sa.CheckConstraint("max_parallel_tasks > 0 AND task_timeout_seconds > 0", name=op.f("ck_agent_teams_limits")),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_agent_teams")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_agent_teams_account_id_name")),
    )


def _agent_team_members() -> None:
    op.create_table(
        "agent_team_members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_lead", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("priority_order", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "role IN ('manager', 'researcher', 'writer', 'reviewer', 'executor', 'analyst', 'coordinator', 'facilitator', 'specialist', 'floater')",
            name=op.f("ck_agent_team_members_role"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "agent_id"],
            ["ai_agents.account_id", "ai_agents.id"],
            name=op.f("fk_agent_team_members_account_id_agent_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "team_id"],
            ["agent_teams.account_id", "agent_teams.id"],
            name=op.f("fk_agent_team_members_account_id_team_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_agent_team_members")),
        sa.UniqueConstraint("team_id", "agent_id", name=op.f("uq_agent_team_members_team_id_agent_id")),
    )
    op.create_index(
        "uq_agent_team_members_lead",
        "agent_team_members",
        ["team_id"],
        unique=True,
        postgresql_where=sa.text("is_lead"),
    )


def _team_channels() -> None:
    op.create_table(
        "team_channels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channel_type", sa.Text(), server_default="broadcast", nullable=False),
        sa.Column("is_persistent", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("message_retention_hours", sa.Integer(), nullable=True),
        sa.Column("participant_roles", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("routing_rules", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("message_schema", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "channel_type IN ('broadcast', 'direct', 'topic', 'task', 'escalation')",
            name=op.f("ck_team_channels_channel_type"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "team_id"],
            ["agent_teams.account_id", "agent_teams.id"],
            name=op.f("fk_team_channels_account_id_team_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_team_channels")),
        sa.UniqueConstraint("team_id", "name", name=op.f("uq_team_channels_team_id_name")),
    )


def _team_executions() -> None:
    op.create_table(
        "team_executions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("objective", sa.Text(), nullable=True),
        sa.Column("tasks_total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tasks_completed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tasks_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("control_signal", sa.Text(), nullable=True),
        sa.Column("redirect_instructions", sa.Text(), nullable=True),
        sa.Column("shared_memory", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("result", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("total_tokens_used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_cost_usd", sa.Numeric(precision=10, scale=4), server_default=sa.text("0"), nullable=False),
        sa.Column("approval_decision", sa.Text(), nullable=True),
        sa.Column("approval_feedback", sa.Text(), nullable=True),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "approval_decision IN ('approved', 'rejected')", name=op.f("ck_team_executions_approval_decision")
        ),
        sa.CheckConstraint(
            "control_signal IN ('pause', 'cancel', 'redirect')", name=op.f("ck_team_executions_control_signal")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled', 'timeout', 'awaiting_approval')",
            name=op.f("ck_team_executions_status"),
        ),
        sa.CheckConstraint("tasks_completed + tasks_failed <= tasks_total", name=op.f("ck_team_executions_tasks")),
        sa.ForeignKeyConstraint(
            ["account_id", "team_id"],
            ["agent_teams.account_id", "agent_teams.id"],
            name=op.f("fk_team_executions_account_id_team_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_team_executions")),
        sa.UniqueConstraint("execution_id", name=op.f("uq_team_executions_execution_id")),
    )
    op.create_index(
        "ix_team_executions_recent", "team_executions", ["team_id", sa.literal_column("created_at DESC")], unique=False
    )


def _team_messages() -> None:
    op.create_table(
        "team_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("team_execution_id", sa.Uuid(), nullable=True),
        sa.Column("sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("message_type", sa.Text(), server_default="task_update", nullable=False),
        sa.Column("priority", sa.Text(), server_default="normal", nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("from_role_id", sa.Uuid(), nullable=True),
        sa.Column("to_role_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("in_reply_to_id", sa.Uuid(), nullable=True),
        sa.Column("requires_response", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("responded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("structured_content", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("attachments", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "message_type IN ('task_assignment', 'task_update', 'task_result', 'work_plan', 'synthesis', 'question', 'answer', 'escalation', 'coordination', 'broadcast', 'human_input')",
            name=op.f("ck_team_messages_message_type"),
        ),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("ck_team_messages_priority")),
        sa.ForeignKeyConstraint(
            ["account_id", "channel_id"],
            ["team_channels.account_id", "team_channels.id"],
            name=op.f("fk_team_messages_account_id_channel_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "from_role_id"],
            ["agent_team_members.account_id", "agent_team_members.id"],
            name=op.f("fk_team_messages_account_id_from_role_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "in_reply_to_id"],
            ["team_messages.account_id", "team_messages.id"],
            name=op.f("fk_team_messages_account_id_in_reply_to_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "team_execution_id"],
            ["team_executions.account_id", "team_executions.id"],
            name=op.f("fk_team_messages_account_id_team_execution_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "to_role_id"],
            ["agent_team_members.account_id", "agent_team_members.id"],
            name=op.f("fk_team_messages_account_id_to_role_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_team_messages")),
        sa.UniqueConstraint("channel_id", "sequence_number", name=op.f("uq_team_messages_channel_id_sequence_number")),
    )


def _ai_missions() -> None:
    op.create_table(
        "ai_missions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mission_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("current_phase", sa.Text(), nullable=True),
        sa.Column("objective", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("repository", sa.Text(), nullable=True),
        sa.Column("repository_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("ralph_loop_id", sa.Uuid(), nullable=True),
        sa.Column("risk_contract_id", sa.Uuid(), nullable=True),
        sa.Column("review_state_id", sa.Uuid(), nullable=True),
        sa.Column("mission_template_id", sa.Uuid(), nullable=True),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("phase_config", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("analysis_result", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("selected_feature", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("prd_json", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("test_result", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("review_result", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("configuration", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("error_details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("feature_suggestions", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("phase_history", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("custom_phases", postgresql.JSONB(), nullable=True),
        sa.Column("base_branch", sa.Text(), server_default="main", nullable=False),
        sa.Column("branch_name", sa.Text(), nullable=True),
        sa.Column("pr_number", sa.Integer(), nullable=True),
        sa.Column("pr_url", sa.Text(), nullable=True),
        sa.Column("deployed_port", sa.Integer(), nullable=True),
        sa.Column("deployed_url", sa.Text(), nullable=True),
        sa.Column("deployed_container_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "mission_type IN ('development', 'research', 'operations', 'custom')",
            name=op.f("ck_ai_missions_mission_type"),
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'active', 'paused', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_ai_missions_status"),
        ),
        sa.CheckConstraint("deployed_port BETWEEN 6000 AND 6199", name=op.f("ck_ai_missions_deployed_port")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name=op.f("ck_ai_missions_name_length")),
        sa.ForeignKeyConstraint(
            ["account_id", "conversation_id"],
            ["ai_conversations.account_id", "ai_conversations.id"],
            name=op.f("fk_ai_missions_account_id_conversation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "team_id"],
            ["agent_teams.account_id", "agent_teams.id"],
            name=op.f("fk_ai_missions_account_id_team_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_ai_missions")),
    )
    op.create_index(
        "ix_ai_missions_recent", "ai_missions", ["account_id", sa.literal_column("created_at DESC")], unique=False
    )
    op.create_index(
        "uq_ai_missions_port",
        "ai_missions",
        ["deployed_port"],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )


def _ai_mission_approvals() -> None:
    op.create_table(
        "ai_mission_approvals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("mission_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("decision IN ('approved', 'rejected')", name=op.f("ck_ai_mission_approvals_decision")),
        sa.CheckConstraint(
            "gate IN ('feature_selection', 'prd_review', 'code_review', 'merge_approval')",
            name=op.f("ck_ai_mission_approvals_gate"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "mission_id"],
            ["ai_missions.account_id", "ai_missions.id"],
            name=op.f("fk_ai_mission_approvals_account_id_mission_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_ai_mission_approvals")),
    )
    op.create_index(
        "ix_ai_mission_approvals_mission", "ai_mission_approvals", ["mission_id", "created_at"], unique=False
    )


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("notification_type", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), server_default="info", nullable=False),
        sa.Column("category", sa.Text(), server_default="general", nullable=False),
        sa.Column("action_url", sa.Text(), nullable=True),
        sa.Column("action_label", sa.Text(), nullable=True),
        sa.Column("icon", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "severity IN ('info', 'success', 'warning', 'error')", name=op.f("ck_notifications_severity")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "user_id"],
            ["memberships.account_id", "memberships.user_id"],
            name=op.f("fk_notifications_account_id_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_notifications")),
    )
    op.create_index(
        "ix_notifications_of",
        "notifications",
        ["user_id", "account_id", sa.literal_column("created_at DESC")],
        unique=False,
    )


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("interval", sa.Text(), server_default="month", nullable=False),
        sa.Column("currency", sa.Text(), server_default="USD", nullable=False),
        sa.Column("features", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("interval IN ('month', 'year')", name=op.f("ck_plans_interval")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_plans_price")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
        sa.UniqueConstraint("name", name=op.f("uq_plans_name")),
    )


def _account_subscriptions() -> None:
    op.create_table(
        "account_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("current_period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("current_period_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trial_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('trialing', 'active', 'past_due', 'paused', 'canceled', 'unpaid')",
            name=op.f("ck_account_subscriptions_status"),
        ),
        sa.CheckConstraint("current_period_end > current_period_start", name=op.f("ck_account_subscriptions_period")),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_account_subscriptions_plan_id")),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_account_subscriptions")),
        sa.UniqueConstraint("account_id", name=op.f("uq_account_subscriptions_account_id")),
    )


def _analytics_alerts() -> None:
    op.create_table(
        "analytics_alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("alert_type", sa.Text(), server_default="threshold", nullable=False),
        sa.Column("metric_name", sa.Text(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("threshold_value", sa.Numeric(precision=18, scale=6), nullable=False),
        sa.Column("current_value", sa.Numeric(precision=18, scale=6), nullable=True),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("trigger_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("condition IN ('above', 'below')", name=op.f("ck_analytics_alerts_condition")),
        sa.CheckConstraint("status IN ('active', 'triggered', 'resolved')", name=op.f("ck_analytics_alerts_status")),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_analytics_alerts")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_analytics_alerts_account_id_name")),
    )


CREATED = (
    _agent_teams, _agent_team_members, _team_channels, _team_executions, _team_messages, _ai_missions,
    _ai_mission_approvals, _notifications, _plans, _account_subscriptions, _analytics_alerts,
)  # fmt: skip
