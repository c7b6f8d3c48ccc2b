"""Pipelines, their runs and steps as readers see them: one, lists, and the latest."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.devops_rows import view_of
from db.paging import fetch_page
from db.rows import mapping
from domain.devops import FINAL
from domain.devops_views import PipelineRunView, PipelineView, RecentRunsView, StepExecutionView

RECENT: Final = 20

_OVER: Final = "status IN (" + ", ".join(f"'{status}'" for status in FINAL) + ")"
_PIPELINE: Final = "p.id, p.repository_id, p.name, p.gate_name, p.gate_status, p.version, p.created_at"
_RUN: Final = f"""
    r.id, r.pipeline_id, p.name AS pipeline_name, r.repository_id, r.run_number, r.attempt, r.status, r.trigger_type,
    r.branch, r.commit_sha, r.started_at, r.completed_at, r.error_message, r.html_url, r.version, r.created_at,
    CAST(EXTRACT(EPOCH FROM r.completed_at - r.started_at) AS double precision) AS duration_seconds,
    CASE WHEN r.{_OVER} THEN 100 ELSE COALESCE((
        SELECT CAST(100 * count(*) FILTER (WHERE s.{_OVER}) / NULLIF(count(*), 0) AS int)
        FROM devops_step_executions s WHERE s.run_id = r.id AND s.attempt = r.attempt), 0) END AS progress_percentage,
    (SELECT s.step_name FROM devops_step_executions s WHERE s.run_id = r.id AND s.attempt = r.attempt
        AND s.status = 'running' ORDER BY s.position, s.external_id LIMIT 1) AS current_step
"""  # noqa: S608 - constants
_STEP: Final = """
    s.id, s.step_name, s.step_type, s.position, s.attempt, s.status, s.started_at, s.completed_at, s.error_message,
    s.version
"""
_RUNS: Final = f"SELECT {_RUN}, count(*) OVER () AS total FROM devops_pipeline_runs r JOIN devops_pipelines p"  # noqa: S608
_ONE_PIPELINE: Final = text(f"SELECT {_PIPELINE} FROM devops_pipelines p WHERE p.id = :id")  # noqa: S608
_PIPELINES: Final = text(
    f"SELECT {_PIPELINE}, count(*) OVER () AS total FROM devops_pipelines p"  # noqa: S608
    " WHERE CAST(:repository_id AS uuid) IS NULL OR p.repository_id = :repository_id"
    " ORDER BY p.name, p.id LIMIT :limit OFFSET :offset"
)
_ONE_RUN: Final = text(f"{_RUNS} ON p.id = r.pipeline_id WHERE r.id = :id")
_LATEST: Final = text(
    f"{_RUNS} ON p.id = r.pipeline_id"
    " WHERE (CAST(:pipeline_id AS uuid) IS NULL OR r.pipeline_id = :pipeline_id)"
    " AND (CAST(:status AS text) IS NULL OR r.status = :status)"
    " ORDER BY r.created_at DESC, r.id LIMIT :limit OFFSET :offset"
)
_ONE_STEP: Final = text(f"SELECT {_STEP} FROM devops_step_executions s WHERE s.id = :id")  # noqa: S608
_STEPS: Final = text(
    f"SELECT {_STEP} FROM devops_step_executions s WHERE s.run_id = :run_id"  # noqa: S608
    " ORDER BY s.attempt DESC, s.position, s.external_id LIMIT 1000"
)


async def pipeline(conn: AsyncConnection, pipeline_id: UUID) -> PipelineView | None:
    """Return a pipeline; None when the entered account has no such one."""
    return view_of(PipelineView, (await conn.execute(_ONE_PIPELINE, {"id": pipeline_id})).one_or_none())


async def pipelines(
    conn: AsyncConnection, *, repository_id: UUID | None, limit: int, offset: int
) -> tuple[list[PipelineView], int]:
    """Return a page by name, and how many there are."""
    rows, total = await fetch_page(conn, _PIPELINES, {"repository_id": repository_id}, limit=limit, offset=offset)
    return [view for row in rows if (view := view_of(PipelineView, row))], total


async def run(conn: AsyncConnection, run_id: UUID) -> PipelineRunView | None:
    """Return a run; None when the entered account has no such one."""
    return view_of(PipelineRunView, (await conn.execute(_ONE_RUN, {"id": run_id})).one_or_none())


async def runs(
    conn: AsyncConnection, *, pipeline_id: UUID | None, status: str | None, limit: int, offset: int
) -> tuple[list[PipelineRunView], int]:
    """Return a page, the latest first, and how many there are."""
    values = {"pipeline_id": pipeline_id, "status": status}
    rows, total = await fetch_page(conn, _LATEST, values, limit=limit, offset=offset)
    return [view for row in rows if (view := view_of(PipelineRunView, row))], total


async def step(conn: AsyncConnection, step_id: UUID) -> StepExecutionView:
    """Return a step that the caller knows of."""
    found = mapping((await conn.execute(_ONE_STEP, {"id": step_id})).one())
    return StepExecutionView.model_validate(dict(found))


async def steps(conn: AsyncConnection, run_id: UUID) -> list[StepExecutionView]:
    """Return a run's steps in their order, those of the latest attempt first; at most 1,000."""
    rows = (await conn.execute(_STEPS, {"run_id": run_id})).all()
    return [view for row in rows if (view := view_of(StepExecutionView, row))]


async def recent(conn: AsyncConnection, key: str) -> RecentRunsView | None:
    """Return the latest runs of the entered account (key `""`) or of a pipeline by its id."""
    try:
        pipeline_id = UUID(key) if key else None
    except ValueError:
        return None
    found, _ = await runs(conn, pipeline_id=pipeline_id, status=None, limit=RECENT, offset=0)
    return RecentRunsView(pipeline_runs=found)
