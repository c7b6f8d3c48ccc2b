"""Pipelines, their runs and steps, jobs and their logs: read."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from db import git_jobs, pipeline_views
from domain.devops import RunStatus
from domain.devops_views import GitJobLogView, GitJobView, PipelineRunView, PipelineView, StepExecutionView
from domain.errors import NotFoundError
from domain.permissions import Permission

router = APIRouter(prefix="/api/v1/devops", tags=["devops"])

READ_BYTES: Final = 256 * 1024
Reader = Annotated[Principal, allow(Permission.PIPELINES_READ)]
LogReader = Annotated[Principal, allow(Permission.PIPELINES_LOGS)]
Page = Annotated[PageQuery, Depends()]


@router.get("/pipelines", summary="List pipelines", responses=listed("Pipelines", PipelineView))
async def pipelines(desk: Desk, caller: Reader, query: Page, repository_id: UUID | None = None) -> dict[str, Any]:
    """By name."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await pipeline_views.pipelines(
            conn, repository_id=repository_id, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get("/pipelines/{pipeline_id}", summary="Show a pipeline", responses=shows("Pipeline", pipeline=PipelineView))
async def pipeline(pipeline_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """With the last gate that asked for a person."""
    async with desk.db.account(caller.account_id) as conn:
        found = await pipeline_views.pipeline(conn, pipeline_id)
    if found is None:
        raise NotFoundError("No such pipeline")
    return done(pipeline=found)


@router.get("/runs", summary="List runs", responses=listed("PipelineRuns", PipelineRunView))
async def runs(
    desk: Desk, caller: Reader, query: Page, pipeline_id: UUID | None = None, status: RunStatus | None = None
) -> dict[str, Any]:
    """The latest first; of one pipeline, or of all."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await pipeline_views.runs(
            conn, pipeline_id=pipeline_id, status=status, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get(
    "/runs/{pipeline_run_id}",
    summary="Show a run",
    responses=shows("PipelineRun", pipeline_run=PipelineRunView, steps=list[StepExecutionView]),
)
async def run(pipeline_run_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """With its steps in their order."""
    async with desk.db.account(caller.account_id) as conn:
        found = await pipeline_views.run(conn, pipeline_run_id)
        steps = await pipeline_views.steps(conn, pipeline_run_id)
    if found is None:
        raise NotFoundError("No such run")
    return done(pipeline_run=found, steps=steps)


@router.get("/runs/{pipeline_run_id}/jobs", summary="List a run's jobs", responses=listed("GitJobs", GitJobView))
async def jobs(pipeline_run_id: UUID, desk: Desk, caller: Reader, query: Page) -> dict[str, Any]:
    """In the order in which we heard of them."""
    async with desk.db.account(caller.account_id) as conn:
        if await pipeline_views.run(conn, pipeline_run_id) is None:
            raise NotFoundError("No such run")
        items, total = await git_jobs.of_run(conn, pipeline_run_id, limit=query.per_page, offset=query.offset)
    return page(items, total, query)


@router.get("/jobs/{job_id}", summary="Show a job", responses=shows("GitJob", job=GitJobView))
async def job(job_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """How it stands, and how much it logged."""
    async with desk.db.account(caller.account_id) as conn:
        return done(job=await git_jobs.get(conn, job_id))


@router.get("/jobs/{job_id}/logs", summary="Read a job's log", responses=shows("GitJobLog", log=GitJobLogView))
async def logs(
    job_id: UUID,
    desk: Desk,
    caller: LogReader,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=4, le=READ_BYTES)] = READ_BYTES,
) -> dict[str, Any]:
    """From an offset on, in bytes of UTF-8; ask for `next_offset` next. `is_complete`: nothing will follow."""
    async with desk.db.account(caller.account_id) as conn:
        found = await git_jobs.read(conn, job_id, offset, limit)
    if found is None:
        raise NotFoundError("No such job")
    return done(log=found)
