"""How channels find pipelines, jobs, logs and the code factory's things in the entered account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.finding import Finder
from db import code_factory, git_jobs, pipeline_views
from domain.devops_views import (
    FactoryContractView,
    FactoryRunView,
    GitJobLogView,
    GitJobView,
    PipelineView,
    RecentRunsView,
    ReviewStateView,
)
from domain.file_views import View


def _uuid(key: str) -> UUID | None:
    try:
        return UUID(key)
    except ValueError:
        return None


async def _pipeline(conn: AsyncConnection, key: str) -> PipelineView | None:
    found = _uuid(key)
    return None if found is None else await pipeline_views.pipeline(conn, found)


async def _job(conn: AsyncConnection, key: str) -> GitJobView | None:
    found = _uuid(key)
    return None if found is None else await git_jobs.find(conn, found)


async def _log(conn: AsyncConnection, key: str) -> GitJobLogView | None:
    """By `{job id}@{offset}`."""
    job_id, _, offset = key.partition("@")
    found = _uuid(job_id)
    if found is None or not offset.isdecimal():
        return None
    return await git_jobs.read(conn, found, min(int(offset), git_jobs.MAX_LOG_BYTES))


def _of_factory(kind: type[View]) -> Finder:
    async def finder(conn: AsyncConnection, key: str) -> View | None:
        found = _uuid(key)
        return None if found is None else await code_factory.find(conn, kind, found)

    return finder


FINDERS: Final[Mapping[type, Finder]] = {
    PipelineView: _pipeline,
    RecentRunsView: pipeline_views.recent,
    GitJobView: _job,
    GitJobLogView: _log,
    FactoryContractView: _of_factory(FactoryContractView),
    FactoryRunView: _of_factory(FactoryRunView),
    ReviewStateView: _of_factory(ReviewStateView),
}
