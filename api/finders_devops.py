"""How channels find pipelines, jobs, logs and the code factory's things in the entered account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.finding import Finder, by_id
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
from domain.ids import as_uuid


async def _log(conn: AsyncConnection, key: str) -> GitJobLogView | None:
    """By `{job id}@{offset}`."""
    job_id, _, offset = key.partition("@")
    found = as_uuid(job_id)
    if found is None or not offset.isdecimal():
        return None
    return await git_jobs.read(conn, found, min(int(offset), git_jobs.MAX_LOG_BYTES))


def _of_factory(kind: type[View]) -> Finder:
    async def find(conn: AsyncConnection, row_id: UUID) -> View | None:
        return await code_factory.find(conn, kind, row_id)

    return by_id(find)


FINDERS: Final[Mapping[type, Finder]] = {
    PipelineView: by_id(pipeline_views.pipeline),
    RecentRunsView: pipeline_views.recent,
    GitJobView: by_id(git_jobs.find),
    GitJobLogView: _log,
    FactoryContractView: _of_factory(FactoryContractView),
    FactoryRunView: _of_factory(FactoryRunView),
    ReviewStateView: _of_factory(ReviewStateView),
}
