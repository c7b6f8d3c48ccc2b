"""Repositories, pipelines with their runs, steps, jobs and logs, and the code factory."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from db.tables.base import account, json_column, metadata, moment, one_of, owned, status_column, tenant_key, uuid_id
from domain.devops import ContractStatus, GateStatus, JobStatus, ReviewStatus, RunStatus


def _version() -> Column[object]:
    return Column("version", BigInteger, nullable=False, server_default=text("1"))


def _external_id() -> Column[object]:
    return Column("external_id", Text, nullable=False)


git_repositories = Table(
    "git_repositories",
    metadata,
    uuid_id(),
    account(),
    Column("provider", Text, nullable=False),
    Column("full_name", Text, nullable=False),
    Column("external_id", Text),
    Column("webhook_token_hash", LargeBinary, nullable=False, unique=True),
    Column("webhook_secret", LargeBinary, nullable=False),
    Column("ignored_events", BigInteger, nullable=False, server_default=text("0")),
    moment("last_event_at"),
    _version(),
    moment("created_at", required=True),
    one_of("provider", ("github", "gitea")),
    tenant_key(),
    Index("uq_git_repositories_name", "account_id", "provider", func.lower(text("full_name")), unique=True),
)

git_webhook_deliveries = Table(
    "git_webhook_deliveries",
    metadata,
    Column("repository_id", Uuid, nullable=False),
    Column("delivery_id", Text, nullable=False),
    account(),
    Column("event", Text, nullable=False),
    moment("received_at", required=True),
    owned("repository_id", "git_repositories"),
    PrimaryKeyConstraint("repository_id", "delivery_id"),
    Index("ix_git_webhook_deliveries_age", "repository_id", "received_at"),
)

devops_pipelines = Table(
    "devops_pipelines",
    metadata,
    uuid_id(),
    account(),
    Column("repository_id", Uuid),
    _external_id(),
    Column("name", Text, nullable=False),
    Column("gate_name", Text),
    Column("gate_status", Text),
    Column("told", BigInteger, nullable=False, server_default=text("0")),
    _version(),
    moment("created_at", required=True),
    one_of("gate_status", GateStatus),
    owned("repository_id", "git_repositories"),
    tenant_key(),
    UniqueConstraint(
        "account_id",
        "repository_id",
        "external_id",
        name="uq_devops_pipelines_external_id",
        postgresql_nulls_not_distinct=True,
    ),
)

devops_pipeline_runs = Table(
    "devops_pipeline_runs",
    metadata,
    uuid_id(),
    account(),
    Column("pipeline_id", Uuid, nullable=False),
    Column("repository_id", Uuid),
    _external_id(),
    Column("run_number", Integer),
    Column("attempt", Integer, nullable=False),
    status_column("status", "pending"),
    Column("trigger_type", Text),
    Column("branch", Text),
    Column("commit_sha", Text),
    Column("html_url", Text),
    Column("error_message", Text),
    moment("started_at"),
    moment("completed_at"),
    _version(),
    moment("created_at", required=True),
    one_of("status", RunStatus),
    owned("pipeline_id", "devops_pipelines"),
    owned("repository_id", "git_repositories"),
    tenant_key(),
    UniqueConstraint("pipeline_id", "external_id"),
    Index("ix_devops_pipeline_runs_repository", "repository_id", "external_id"),
    Index("ix_devops_pipeline_runs_latest", "account_id", "created_at"),
)

git_jobs = Table(
    "git_jobs",
    metadata,
    uuid_id(),
    account(),
    Column("repository_id", Uuid, nullable=False),
    Column("run_id", Uuid, nullable=False),
    _external_id(),
    Column("name", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    status_column("status", "queued"),
    Column("conclusion", Text),
    Column("runner_name", Text),
    Column("html_url", Text),
    moment("started_at"),
    moment("completed_at"),
    Column("log_size", BigInteger, nullable=False, server_default=text("0")),
    Column("log_complete", Boolean, nullable=False, server_default=text("false")),
    Column("log_error", Text),
    _version(),
    moment("created_at", required=True),
    one_of("status", JobStatus),
    owned("repository_id", "git_repositories"),
    owned("run_id", "devops_pipeline_runs"),
    tenant_key(),
    UniqueConstraint("run_id", "external_id"),
)

devops_step_executions = Table(
    "devops_step_executions",
    metadata,
    uuid_id(),
    account(),
    Column("run_id", Uuid, nullable=False),
    _external_id(),
    Column("step_name", Text, nullable=False),
    Column("step_type", Text),
    Column("position", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    status_column("status", "pending"),
    moment("started_at"),
    moment("completed_at"),
    Column("error_message", Text),
    _version(),
    one_of("status", RunStatus),
    owned("run_id", "devops_pipeline_runs"),
    tenant_key(),
    UniqueConstraint("run_id", "external_id"),
)

git_job_logs = Table(
    "git_job_logs",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("offset", BigInteger, nullable=False),
    account(),
    Column("size_bytes", Integer, nullable=False),
    Column("content", Text, nullable=False),
    moment("logged_at", required=True),
    CheckConstraint(text("size_bytes = octet_length(content) AND size_bytes > 0"), name="size_bytes"),
    owned("job_id", "git_jobs"),
    PrimaryKeyConstraint("job_id", "offset"),
)

code_factory_contracts = Table(
    "code_factory_contracts",
    metadata,
    uuid_id(),
    account(),
    _external_id(),
    Column("name", Text, nullable=False),
    status_column("status", "draft"),
    json_column("details"),
    _version(),
    moment("created_at", required=True),
    one_of("status", ContractStatus),
    tenant_key(),
    UniqueConstraint("account_id", "external_id"),
)

code_factory_runs = Table(
    "code_factory_runs",
    metadata,
    uuid_id(),
    account(),
    _external_id(),
    Column("contract_id", Uuid),
    Column("title", Text, nullable=False),
    status_column("status", "pending"),
    Column("phase", Text),
    Column("progress_percentage", Integer, nullable=False, server_default=text("0")),
    Column("error_message", Text),
    json_column("details"),
    _version(),
    moment("created_at", required=True),
    one_of("status", RunStatus),
    owned("contract_id", "code_factory_contracts"),
    tenant_key(),
    UniqueConstraint("account_id", "external_id"),
)

code_factory_review_states = Table(
    "code_factory_review_states",
    metadata,
    uuid_id(),
    account(),
    Column("run_id", Uuid, nullable=False),
    _external_id(),
    status_column("status", "pending"),
    Column("reviewer", Text),
    Column("summary", Text),
    json_column("details"),
    _version(),
    moment("created_at", required=True),
    one_of("status", ReviewStatus),
    owned("run_id", "code_factory_runs"),
    tenant_key(),
    UniqueConstraint("run_id", "external_id"),
)
