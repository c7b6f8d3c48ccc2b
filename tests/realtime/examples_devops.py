"""One thing of each kind that the channels of pipelines, logs and the code factory are about, in a real database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

from db import code_factory, git_jobs, git_repositories, pipelines
from db.devops_rows import one_writer
from db.session import Database
from domain.devops import FactoryRunReport, GitJobReport, JobStatus, PipelineRunReport, RunStatus
from domain.devops_views import FactoryRunView, GitJobView, PipelineRunView
from tests.tenants import BOX

Example = Callable[[Database, UUID], Awaitable[dict[str, object]]]
"""(the app's database, an account) -> params that its people may subscribe with."""


def run_report(external_id: str = "1", **more: Any) -> PipelineRunReport:
    fields: dict[str, Any] = {"pipeline_external_id": "ci", "pipeline_name": "ci", "status": RunStatus.RUNNING} | more
    return PipelineRunReport(external_id=external_id, **fields)


async def make_run(database: Database, account_id: UUID, **more: Any) -> PipelineRunView:
    async with database.account(account_id) as conn:
        await one_writer(conn)
        return (await pipelines.report_run(conn, run_report(uuid4().hex, **more))).view


async def make_job(database: Database, account_id: UUID) -> GitJobView:
    async with database.account(account_id) as conn:
        await one_writer(conn)
        repository, _ = await git_repositories.create(conn, BOX, "github", f"a/{uuid4().hex}")
        run = (await pipelines.report_run(conn, run_report(repository_id=repository.id))).view
        job = GitJobReport(pipeline_run_id=run.id, external_id="1", name="build", status=JobStatus.IN_PROGRESS)
        return (await git_jobs.report(conn, job)).view


async def make_factory_run(database: Database, account_id: UUID) -> FactoryRunView:
    async with database.account(account_id) as conn:
        await one_writer(conn)
        report = FactoryRunReport(external_id=uuid4().hex, title="Build", status=RunStatus.RUNNING)
        return (await code_factory.report_run(conn, report)).view


def job_params(job: GitJobView) -> dict[str, object]:
    ids = {"repository_id": job.repository_id, "pipeline_id": job.pipeline_id, "job_id": job.id}
    return {name: str(value) for name, value in ids.items()}


async def _pipeline(database: Database, account_id: UUID) -> dict[str, object]:
    run = await make_run(database, account_id)
    return {"account_id": str(account_id), "pipeline_id": str(run.pipeline_id)}


async def _job(database: Database, account_id: UUID) -> dict[str, object]:
    return job_params(await make_job(database, account_id))


async def _factory(database: Database, account_id: UUID) -> dict[str, object]:
    return {"type": "run", "id": str((await make_factory_run(database, account_id)).id)}


def examples() -> Mapping[str, Example]:
    """Channel name → what makes one thing of the account and returns the params of a subscription to it."""
    return {"DevopsPipelineChannel": _pipeline, "GitJobLogsChannel": _job, "CodeFactoryChannel": _factory}
