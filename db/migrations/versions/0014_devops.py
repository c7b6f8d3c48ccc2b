"""Repositories with signed webhooks, pipelines with runs, steps, jobs and logs, and the code factory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from db.migrations.walls import app_role, wall

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = (
    "git_repositories",
    "git_webhook_deliveries",
    "devops_pipelines",
    "devops_pipeline_runs",
    "devops_step_executions",
    "git_jobs",
    "git_job_logs",
    "code_factory_contracts",
    "code_factory_runs",
    "code_factory_review_states",
)
# The account is not known before the webhook's token is looked up; it is entered with the row that the token names.
OPEN = """
    CREATE FUNCTION open_git_repository(token_hash bytea) RETURNS SETOF git_repositories
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE hit git_repositories;
    BEGIN
      SELECT * INTO hit FROM git_repositories r WHERE r.webhook_token_hash = token_hash;
      IF FOUND THEN
        PERFORM set_config('app.account_id', hit.account_id::text, true);
        RETURN NEXT hit;
      END IF;
    END $$
"""


def _git() -> None:
    op.create_table(
        "git_repositories",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("webhook_token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("webhook_secret", sa.LargeBinary(), nullable=False),
        sa.Column("ignored_events", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("provider IN ('github', 'gitea')", name=op.f("ck_git_repositories_provider")),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_git_repositories")),
        sa.UniqueConstraint("webhook_token_hash", name=op.f("uq_git_repositories_webhook_token_hash")),
    )
    op.create_index(
        "uq_git_repositories_name",
        "git_repositories",
        ["account_id", "provider", sa.literal_column("lower(full_name)")],
        unique=True,
    )
    op.create_table(
        "git_webhook_deliveries",
        sa.Column("repository_id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "repository_id"],
            ["git_repositories.account_id", "git_repositories.id"],
            name=op.f("fk_git_webhook_deliveries_account_id_repository_id"),
        ),
        sa.PrimaryKeyConstraint("repository_id", "delivery_id", name=op.f("pk_git_webhook_deliveries")),
    )
    op.create_index(
        "ix_git_webhook_deliveries_age", "git_webhook_deliveries", ["repository_id", "received_at"], unique=False
    )


def _pipelines() -> None:
    op.create_table(
        "devops_pipelines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("repository_id", sa.Uuid(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("gate_name", sa.Text(), nullable=True),
        sa.Column("gate_status", sa.Text(), nullable=True),
        sa.Column("told", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "gate_status IN ('pending', 'approved', 'rejected', 'expired')",
            name=op.f("ck_devops_pipelines_gate_status"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "repository_id"],
            ["git_repositories.account_id", "git_repositories.id"],
            name=op.f("fk_devops_pipelines_account_id_repository_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_devops_pipelines")),
        sa.UniqueConstraint(
            "account_id",
            "repository_id",
            "external_id",
            name="uq_devops_pipelines_external_id",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "devops_pipeline_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("pipeline_id", sa.Uuid(), nullable=False),
        sa.Column("repository_id", sa.Uuid(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("run_number", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("trigger_type", sa.Text(), nullable=True),
        sa.Column("branch", sa.Text(), nullable=True),
        sa.Column("commit_sha", sa.Text(), nullable=True),
        sa.Column("html_url", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'waiting', 'running', 'success', 'failure', 'cancelled', 'skipped')",
            name=op.f("ck_devops_pipeline_runs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "pipeline_id"],
            ["devops_pipelines.account_id", "devops_pipelines.id"],
            name=op.f("fk_devops_pipeline_runs_account_id_pipeline_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "repository_id"],
            ["git_repositories.account_id", "git_repositories.id"],
            name=op.f("fk_devops_pipeline_runs_account_id_repository_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_devops_pipeline_runs")),
        sa.UniqueConstraint("pipeline_id", "external_id", name=op.f("uq_devops_pipeline_runs_pipeline_id_external_id")),
    )
    op.create_index(
        "ix_devops_pipeline_runs_latest", "devops_pipeline_runs", ["account_id", "created_at"], unique=False
    )
    op.create_index(
        "ix_devops_pipeline_runs_repository", "devops_pipeline_runs", ["repository_id", "external_id"], unique=False
    )
    op.create_table(
        "devops_step_executions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("step_name", sa.Text(), nullable=False),
        sa.Column("step_type", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'waiting', 'running', 'success', 'failure', 'cancelled', 'skipped')",
            name=op.f("ck_devops_step_executions_status"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "run_id"],
            ["devops_pipeline_runs.account_id", "devops_pipeline_runs.id"],
            name=op.f("fk_devops_step_executions_account_id_run_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_devops_step_executions")),
        sa.UniqueConstraint("run_id", "external_id", name=op.f("uq_devops_step_executions_run_id_external_id")),
    )


def _jobs() -> None:
    op.create_table(
        "git_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("repository_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("conclusion", sa.Text(), nullable=True),
        sa.Column("runner_name", sa.Text(), nullable=True),
        sa.Column("html_url", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("log_size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("log_complete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("log_error", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'waiting', 'in_progress', 'completed')", name=op.f("ck_git_jobs_status")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "repository_id"],
            ["git_repositories.account_id", "git_repositories.id"],
            name=op.f("fk_git_jobs_account_id_repository_id"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "run_id"],
            ["devops_pipeline_runs.account_id", "devops_pipeline_runs.id"],
            name=op.f("fk_git_jobs_account_id_run_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_git_jobs")),
        sa.UniqueConstraint("run_id", "external_id", name=op.f("uq_git_jobs_run_id_external_id")),
    )
    op.create_table(
        "git_job_logs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("logged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "size_bytes = octet_length(content) AND size_bytes > 0", name=op.f("ck_git_job_logs_size_bytes")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "job_id"],
            ["git_jobs.account_id", "git_jobs.id"],
            name=op.f("fk_git_job_logs_account_id_job_id"),
        ),
        sa.PrimaryKeyConstraint("job_id", "offset", name=op.f("pk_git_job_logs")),
    )


def _factory() -> None:
    op.create_table(
        "code_factory_contracts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'active', 'completed', 'cancelled')", name=op.f("ck_code_factory_contracts_status")
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_code_factory_contracts")),
        sa.UniqueConstraint("account_id", "external_id", name=op.f("uq_code_factory_contracts_account_id_external_id")),
    )
    op.create_table(
        "code_factory_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Uuid(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("progress_percentage", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'waiting', 'running', 'success', 'failure', 'cancelled', 'skipped')",
            name=op.f("ck_code_factory_runs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "contract_id"],
            ["code_factory_contracts.account_id", "code_factory_contracts.id"],
            name=op.f("fk_code_factory_runs_account_id_contract_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_code_factory_runs")),
        sa.UniqueConstraint("account_id", "external_id", name=op.f("uq_code_factory_runs_account_id_external_id")),
    )
    op.create_table(
        "code_factory_review_states",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'in_review', 'approved', 'changes_requested', 'rejected')",
            name=op.f("ck_code_factory_review_states_status"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "run_id"],
            ["code_factory_runs.account_id", "code_factory_runs.id"],
            name=op.f("fk_code_factory_review_states_account_id_run_id"),
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name=op.f("pk_code_factory_review_states")),
        sa.UniqueConstraint("run_id", "external_id", name=op.f("uq_code_factory_review_states_run_id_external_id")),
    )


def upgrade() -> None:
    """Apply."""
    _git()
    _pipelines()
    _jobs()
    _factory()
    for table in TABLES:
        wall(table)
    op.execute(OPEN)
    op.execute("REVOKE ALL ON FUNCTION open_git_repository(bytea) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION open_git_repository(bytea) TO {app_role()}")


def downgrade() -> None:
    """Take back."""
    op.execute("DROP FUNCTION open_git_repository(bytea)")
    for table in reversed(TABLES):
        op.drop_table(table)
