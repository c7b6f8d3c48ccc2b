"""Repositories whose platforms tell us of their pipelines, and what a verified webhook of one changes.

The token in the webhook's address finds the repository and with it the account, by its hash; the secret is sealed like
a channel's credentials (credentials.py), and both are shown only when they are made.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import git_jobs, pipelines
from db.channels import token_hash
from db.credentials import CredentialBox
from db.devops_rows import change, view_of
from db.outbox import Aggregate
from db.paging import fetch_page
from db.tables import git_repositories, git_webhook_deliveries
from domain.devops import (
    MAX_KEY_CHARS,
    UNNAMED,
    GitJobReport,
    JobStatus,
    PipelineRunReport,
    PipelineStepReport,
    RunStatus,
    WorkflowJobReport,
)
from domain.devops_views import GitRepositoryView
from domain.errors import ConflictError, NotFoundError

SECRET: Final = "secret"  # noqa: S105 - a name
_OPEN: Final = text(
    "SELECT id, account_id, provider, full_name, external_id, webhook_secret FROM open_git_repository(:hash)"
)
_VIEW: Final = "id, provider, full_name, last_event_at, ignored_events, version, created_at"
_ONE: Final = text(f"SELECT {_VIEW} FROM git_repositories WHERE id = :id")  # noqa: S608 - constant columns
_LIST: Final = text(
    f"SELECT {_VIEW}, count(*) OVER () AS total FROM git_repositories"  # noqa: S608 - constant columns
    " ORDER BY lower(full_name), id LIMIT :limit OFFSET :offset"
)
_FORGET: Final = text(
    "DELETE FROM git_webhook_deliveries WHERE repository_id = :id AND received_at < now() - interval '30 days'"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a repository's platform is told, once: the last part of the address, and the secret to sign with."""

    token: str
    secret: str


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository as webhooks find it; the secret is sealed."""

    id: UUID
    account_id: UUID
    provider: str
    full_name: str
    external_id: str | None
    webhook_secret: bytes


async def create(
    conn: AsyncConnection, box: CredentialBox, provider: str, full_name: str
) -> tuple[GitRepositoryView, Keys]:
    """Register a repository. Raises ConflictError when the account has it already."""
    repository_id = uuid4()
    keys, sealed = _new_keys(box, repository_id)
    statement = upsert(git_repositories).values(
        {
            **sealed,
            "id": repository_id,
            "account_id": text("app_account()"),
            "provider": provider,
            "full_name": full_name,
        }
    )
    made = (await conn.execute(statement.on_conflict_do_nothing().returning(git_repositories.c.id))).first()
    if made is None:
        raise ConflictError("This repository is registered already")
    return await get(conn, repository_id), keys


async def renew(conn: AsyncConnection, box: CredentialBox, repository_id: UUID) -> tuple[GitRepositoryView, Keys]:
    """Give a repository another address and secret; the old ones are worth nothing from now on. Raises NotFoundError."""
    await get(conn, repository_id)
    keys, sealed = _new_keys(box, repository_id)
    await change(conn, git_repositories, repository_id, sealed)
    return await get(conn, repository_id), keys


def _new_keys(box: CredentialBox, repository_id: UUID) -> tuple[Keys, dict[str, object]]:
    keys = Keys(secrets.token_urlsafe(32), secrets.token_hex(32))
    sealed = box.seal(repository_id, {SECRET: keys.secret})
    return keys, {"webhook_token_hash": token_hash(keys.token), "webhook_secret": sealed}


async def get(conn: AsyncConnection, repository_id: UUID) -> GitRepositoryView:
    """Return a repository. Raises NotFoundError."""
    view = view_of(GitRepositoryView, (await conn.execute(_ONE, {"id": repository_id})).one_or_none())
    if view is None:
        raise NotFoundError("No such repository")
    return view


async def listing(conn: AsyncConnection, *, limit: int, offset: int) -> tuple[list[GitRepositoryView], int]:
    """Return a page by name, and how many there are."""
    rows, total = await fetch_page(conn, _LIST, {}, limit=limit, offset=offset)
    return [view for row in rows if (view := view_of(GitRepositoryView, row))], total


async def enter(conn: AsyncConnection, token: str) -> RepositoryRow | None:
    """Find a repository by its webhook's token, and enter its account for this transaction; None for an unknown one."""
    row = (await conn.execute(_OPEN, {"hash": token_hash(token)})).one_or_none()
    return None if row is None else RepositoryRow(*row)


async def is_new(conn: AsyncConnection, repository_id: UUID, delivery_id: str, event: str) -> bool:
    """Remember a delivery for 30 days; False for one that was remembered before."""
    values = {
        "repository_id": repository_id,
        "delivery_id": delivery_id,
        "event": event,
        "account_id": text("app_account()"),
    }
    statement = upsert(git_webhook_deliveries).values(values).on_conflict_do_nothing()
    made = (await conn.execute(statement.returning(git_webhook_deliveries.c.delivery_id))).first()
    await conn.execute(_FORGET, {"id": repository_id})
    return made is not None


async def ignore(conn: AsyncConnection, repository_id: UUID) -> None:
    """Count a webhook that was signed and that we have no use for."""
    table = git_repositories
    await change(conn, table, repository_id, {"ignored_events": table.c.ignored_events + 1})


async def record(
    conn: AsyncConnection, repository: RepositoryRow, report: PipelineRunReport | WorkflowJobReport
) -> Sequence[Aggregate]:
    """Record what a webhook says of a run or a job, with the account's one writer held; return whose events wait."""
    await conn.execute(
        update(git_repositories).where(git_repositories.c.id == repository.id).values(last_event_at=text("now()"))
    )
    if isinstance(report, PipelineRunReport):
        return (await pipelines.report_run(conn, report)).aggregates
    return await _record_job(conn, repository.id, report)


async def is_called(conn: AsyncConnection, repository: RepositoryRow, external_id: str, full_name: str) -> bool:
    """Whether a webhook is about this repository, by its platform's id or by its name; a new name or id is kept."""
    known = repository.external_id == external_id
    if not known and repository.full_name.lower() != full_name.lower():
        return False
    if not known or repository.full_name != full_name:
        await change(conn, git_repositories, repository.id, {"external_id": external_id, "full_name": full_name})
    return True


async def _record_job(conn: AsyncConnection, repository_id: UUID, job: WorkflowJobReport) -> Sequence[Aggregate]:
    run_id, aggregates = await _run_of(conn, repository_id, job)
    own = job.model_dump(include={"external_id", "name", "status", "conclusion", "runner_name", "html_url"})
    times: dict[str, Any] = job.model_dump(include={"started_at", "completed_at"})
    reported = GitJobReport(pipeline_run_id=run_id, attempt=job.run_attempt, **own, **times)
    aggregates += (await git_jobs.report(conn, reported)).aggregates
    for step in job.steps:
        fields: dict[str, Any] = step.model_dump(include={"status", "started_at", "completed_at", "error_message"})
        told_of = PipelineStepReport(
            pipeline_run_id=run_id,
            external_id=f"{job.external_id}/{step.number}",
            step_name=step.name,
            step_type=job.name,
            position=step.number,
            attempt=job.run_attempt,
            **fields,
        )
        aggregates += (await pipelines.report_step(conn, told_of)).aggregates
    return list(dict.fromkeys(aggregates))


async def _run_of(conn: AsyncConnection, repository_id: UUID, job: WorkflowJobReport) -> tuple[UUID, list[Aggregate]]:
    """Find the run of a job. What comes before its run, or of a newer attempt, makes it known."""
    row: Row[Any] | None = await pipelines.find_run(conn, repository_id, job.run_external_id)
    if row is not None and row.attempt >= job.run_attempt:
        return row.id, []
    name = job.workflow_name or UNNAMED
    waits = job.status in {JobStatus.QUEUED, JobStatus.WAITING}
    where: dict[str, Any] = (
        {"pipeline_id": row.pipeline_id}
        if row is not None
        else {"pipeline_external_id": f"{pipelines.BY_NAME}{name}"[:MAX_KEY_CHARS], "pipeline_name": name}
    )
    run = PipelineRunReport(
        **where,
        repository_id=repository_id,
        external_id=job.run_external_id,
        status=RunStatus.PENDING if waits else RunStatus.RUNNING,
        attempt=job.run_attempt,
        branch=job.branch,
        commit_sha=job.commit_sha,
    )
    recorded = await pipelines.report_run(conn, run)
    return recorded.view.id, list(recorded.aggregates)
