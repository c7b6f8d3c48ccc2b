"""Records what is reported of pipelines, their runs, steps and gates; who watches is told in the same transaction.

Called by activities/git_reports.py (webhooks) and api/recorders.py (`POST /api/v1/events`), which hold the account's
one writer (devops_rows.py). A repeat or a late report changes nothing and tells nobody.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import pipeline_views
from db.devops_rows import Recorded, change, changes, told
from db.outbox import Aggregate
from db.tables import devops_pipeline_runs, devops_pipelines, devops_step_executions, git_repositories
from db.telling import acting_account
from domain.devops import FINAL, PipelineGateReport, PipelineRunReport, PipelineStepReport, RunStatus, may_become
from domain.devops_views import PipelineRunView, PipelineView, StepExecutionView
from domain.errors import NotFoundError
from domain.events.base import Event
from domain.events.devops import (
    PipelineApprovalStatus,
    PipelineRunCompleted,
    PipelineRunCreated,
    PipelineRunUpdated,
    PipelineStepUpdated,
    pipeline_stream,
)

_TELL: Final = text("UPDATE devops_pipelines SET told = told + 1 WHERE id = :id RETURNING told")
_RUN_FIELDS: Final = ("run_number", "trigger_type", "branch", "commit_sha", "html_url", "error_message")
_FRESH: Final = {"started_at": None, "completed_at": None, "error_message": None}
"""What a new attempt does not take over from the one before."""
BY_NAME: Final = "name:"
"""Begins the external id of a pipeline of which only the name is known yet: jobs do not say more."""


async def report_run(conn: AsyncConnection, report: PipelineRunReport) -> Recorded[PipelineRunView]:
    """Record how a run stands. Raises NotFoundError for a pipeline or repository that the account does not have."""
    pipeline = await _pipeline(conn, report)
    row = await _find_run(conn, pipeline, report.external_id)
    if row is None:
        run_id = uuid4()
        await conn.execute(insert(devops_pipeline_runs).values(_new_run(report, run_id, pipeline)))
        return await _tell_run(conn, run_id, PipelineRunCreated)
    wanted = _run_changes(row, report)
    if row.pipeline_id != pipeline.id:
        # What was known by its name only until now.
        wanted["pipeline_id"] = pipeline.id
    if not wanted:
        return Recorded(await _run_view(conn, row.id), pipeline_stream(row.pipeline_id))
    await change(conn, devops_pipeline_runs, row.id, wanted)
    over = wanted.get("status") in FINAL
    return await _tell_run(conn, row.id, PipelineRunCompleted if over else PipelineRunUpdated)


async def find_run(conn: AsyncConnection, repository_id: UUID, external_id: str) -> Row[Any] | None:
    """Return the row of a repository's run by its platform's id."""
    runs = devops_pipeline_runs.c
    wanted = select(devops_pipeline_runs).where(runs.repository_id == repository_id, runs.external_id == external_id)
    return (await conn.execute(wanted.limit(1))).one_or_none()


async def report_step(conn: AsyncConnection, report: PipelineStepReport) -> Recorded[StepExecutionView]:
    """Record how a step of a run stands. Raises NotFoundError for a run that the account does not have."""
    run = await _run_view(conn, report.pipeline_run_id)
    attempt = run.attempt if report.attempt is None else report.attempt
    table = devops_step_executions
    found = (
        await conn.execute(select(table).where(table.c.run_id == run.id, table.c.external_id == report.external_id))
    ).one_or_none()
    if found is None:
        step_id = uuid4()
        values = report.model_dump(exclude={"pipeline_run_id", "attempt"})
        values |= {"id": step_id, "account_id": await acting_account(conn), "run_id": run.id, "attempt": attempt}
        await conn.execute(insert(table).values(values))
        return await _tell_step(conn, run, step_id)
    wanted = _step_changes(found, report, attempt)
    if not wanted:
        return Recorded(await pipeline_views.step(conn, found.id), pipeline_stream(run.pipeline_id))
    await change(conn, table, found.id, wanted)
    return await _tell_step(conn, run, found.id)


async def report_gate(conn: AsyncConnection, report: PipelineGateReport) -> Recorded[PipelineView]:
    """Record how a pipeline's gate stands. Raises NotFoundError for a pipeline that the account does not have."""
    row = await _row(conn, report.pipeline_id)
    wanted = changes(row, {"gate_name": report.gate_name, "gate_status": report.status.value})
    if wanted:
        await change(conn, devops_pipelines, row.id, wanted)
    view = await pipeline_views.pipeline(conn, row.id)
    assert view is not None, "the row is locked"
    if not wanted:
        return Recorded(view, pipeline_stream(view.id))
    event = PipelineApprovalStatus(
        timestamp=datetime.now(UTC),
        account_id=row.account_id,
        pipeline_id=view.id,
        status=report.status.value,
        gate_name=report.gate_name,
        pipeline_name=view.name,
        pipeline=view,
    )
    return await told(conn, view, [event], *await _order(conn, row.account_id, view.id))


async def _row(conn: AsyncConnection, pipeline_id: UUID) -> Row[Any]:
    row = (await conn.execute(select(devops_pipelines).where(devops_pipelines.c.id == pipeline_id))).one_or_none()
    if row is None:
        raise NotFoundError("No such pipeline")
    return row


async def _pipeline(conn: AsyncConnection, report: PipelineRunReport) -> Row[Any]:
    """Find the pipeline of a report, or make it."""
    if report.pipeline_id is not None:
        return await _row(conn, report.pipeline_id)
    if report.repository_id is not None and not await _has_repository(conn, report.repository_id):
        raise NotFoundError("No such repository")
    table, name = devops_pipelines, report.pipeline_name
    here = table.c.repository_id.is_not_distinct_from(report.repository_id)
    found = (
        await conn.execute(select(table).where(here, table.c.external_id == report.pipeline_external_id))
    ).one_or_none()
    if found is None:
        adopted = (
            update(table)
            .where(here, table.c.external_id == f"{BY_NAME}{name}")
            .values(external_id=report.pipeline_external_id)
        )
        found = (await conn.execute(adopted.returning(table))).one_or_none()
    if found is None:
        values: dict[str, object] = {
            "id": uuid4(),
            "account_id": await acting_account(conn),
            "repository_id": report.repository_id,
            "external_id": report.pipeline_external_id,
            "name": name,
        }
        found = (await conn.execute(insert(table).values(values).returning(table))).one()
    elif found.name != name:
        await change(conn, table, found.id, {"name": name})
    return found


async def _has_repository(conn: AsyncConnection, repository_id: UUID) -> bool:
    wanted = select(git_repositories.c.id).where(git_repositories.c.id == repository_id)
    return (await conn.execute(wanted)).first() is not None


async def _find_run(conn: AsyncConnection, pipeline: Row[Any], external_id: str) -> Row[Any] | None:
    runs = devops_pipeline_runs.c
    wanted = select(devops_pipeline_runs).where(runs.pipeline_id == pipeline.id, runs.external_id == external_id)
    found = (await conn.execute(wanted)).one_or_none()
    if found is None and pipeline.repository_id is not None:
        # A job came first and did not say of which workflow: only from such a stand-in may a run move to its pipeline.
        stand_ins = select(devops_pipelines.c.id).where(
            devops_pipelines.c.repository_id == pipeline.repository_id,
            devops_pipelines.c.external_id.startswith(BY_NAME),
        )
        moved = select(devops_pipeline_runs).where(runs.pipeline_id.in_(stand_ins), runs.external_id == external_id)
        found = (await conn.execute(moved.limit(1))).one_or_none()
    return found


def _new_run(report: PipelineRunReport, run_id: UUID, pipeline: Row[Any]) -> dict[str, object]:
    ours = {"pipeline_id", "pipeline_external_id", "pipeline_name", "repository_id"}
    ids: dict[str, object] = {
        "id": run_id,
        "account_id": pipeline.account_id,
        "pipeline_id": pipeline.id,
        "repository_id": pipeline.repository_id,
    }
    return report.model_dump(exclude=ours) | ids


def _run_changes(row: Row[Any], report: PipelineRunReport) -> dict[str, object]:
    """Return what a report changes in its run: all of a newer attempt, nothing of an older one."""
    if report.attempt < row.attempt:
        return {}
    values = report.model_dump(include={*_RUN_FIELDS, "started_at", "completed_at"})
    if report.attempt > row.attempt:
        given = {name: value for name, value in values.items() if value is not None}
        return {**_FRESH, **given, "status": report.status.value, "attempt": report.attempt}
    if not may_become(row.status, report.status):
        # Over, or further on: only what was not known yet is added.
        return {name: value for name, value in changes(row, values).items() if getattr(row, name) is None}
    return changes(row, {**values, "status": report.status.value})


def _step_changes(row: Row[Any], report: PipelineStepReport, attempt: int) -> dict[str, object]:
    values = report.model_dump(include={"step_name", "step_type", "position", "started_at", "completed_at"})
    values |= {"status": report.status.value, "error_message": report.error_message}
    if attempt > row.attempt:
        return {**_FRESH, **{name: value for name, value in values.items() if value is not None}, "attempt": attempt}
    if attempt < row.attempt or not may_become(row.status, report.status):
        return {}
    return changes(row, values)


async def _run_view(conn: AsyncConnection, run_id: UUID) -> PipelineRunView:
    view = await pipeline_views.run(conn, run_id)
    if view is None:
        raise NotFoundError("No such run")
    return view


async def _order(conn: AsyncConnection, account_id: UUID, pipeline_id: UUID) -> tuple[Aggregate, int]:
    """Return whose events leave in order, and the place of the next."""
    number: int = (await conn.execute(_TELL, {"id": pipeline_id})).scalar_one()
    return Aggregate(account_id, f"pipeline:{pipeline_id}"), number


async def _tell_run(
    conn: AsyncConnection,
    run_id: UUID,
    kind: type[PipelineRunCreated | PipelineRunUpdated | PipelineRunCompleted],
) -> Recorded[PipelineRunView]:
    view, account_id = await _run_view(conn, run_id), await acting_account(conn)
    values: dict[str, Any] = {"account_id": account_id, "pipeline_id": view.pipeline_id, "pipeline_run": view}
    now = datetime.now(UTC)
    events: list[Event] = [kind(timestamp=now, **values)]
    if kind is PipelineRunCreated and view.status in FINAL:
        events.append(PipelineRunCompleted(timestamp=now, **values))
    return await told(conn, view, events, *await _order(conn, account_id, view.pipeline_id))


async def _tell_step(conn: AsyncConnection, run: PipelineRunView, step_id: UUID) -> Recorded[StepExecutionView]:
    # The run shows its progress and its current step, so it has changed too.
    await change(conn, devops_pipeline_runs, run.id, {"status": RunStatus(run.status).value})
    step, after, account_id = (
        await pipeline_views.step(conn, step_id),
        await _run_view(conn, run.id),
        await acting_account(conn),
    )
    event = PipelineStepUpdated(
        timestamp=datetime.now(UTC),
        account_id=account_id,
        pipeline_id=run.pipeline_id,
        pipeline_run_id=run.id,
        step_execution=step,
        progress_percentage=after.progress_percentage,
        pipeline_run=after,
    )
    return await told(conn, step, [event], *await _order(conn, account_id, run.pipeline_id))
