"""Records what is reported of jobs and appends their logs; who watches is told in the same transaction.

A log is what was appended, piece by piece: each begins where the one before ended, which the job's row, locked, says. So
there is no gap and no overlap, a repeat is told apart from a conflict, and readers can go on from any offset.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import pipeline_views
from db.devops_rows import Recorded, change, changes, told, view_of
from db.outbox import Aggregate
from db.paging import fetch_page
from db.rows import mapping
from db.tables import git_job_logs, git_jobs
from db.telling import acting_account
from domain.devops import (
    MAX_CHUNK_BYTES,
    GitJobLogEndReport,
    GitJobLogErrorReport,
    GitJobLogReport,
    GitJobReport,
    may_become,
)
from domain.devops_views import GitJobLogView, GitJobView
from domain.errors import ConflictError, InvalidInputError, NotFoundError
from domain.events.base import Event
from domain.events.devops import (
    GitJobLogChunk,
    GitJobLogComplete,
    GitJobLogError,
    GitJobStatus,
    JobStanding,
    LogChunk,
    LogError,
    job_log_stream,
)
from domain.sanitize import storable

MAX_LOG_BYTES: Final = 64 << 20

_COLUMNS: Final = """
    j.id, j.repository_id, r.pipeline_id, j.run_id AS pipeline_run_id, j.name, j.attempt, j.status, j.conclusion,
    j.runner_name, j.html_url, j.started_at, j.completed_at, j.log_size, j.log_complete, j.log_error, j.version,
    j.created_at
"""
_JOBS: Final = (
    f"SELECT {_COLUMNS}, j.account_id, count(*) OVER () AS total"  # noqa: S608 - constant columns
    " FROM git_jobs j JOIN devops_pipeline_runs r ON r.id = j.run_id"
)
_ONE: Final = text(f"{_JOBS} WHERE j.id = :id")
_OF_RUN: Final = text(f"{_JOBS} WHERE j.run_id = :run_id ORDER BY j.created_at, j.id LIMIT :limit OFFSET :offset")
_LOCK: Final = text("SELECT 1 FROM git_jobs WHERE id = :id FOR UPDATE")
# No piece is longer than MAX_CHUNK_BYTES: the one that holds the start begins no earlier, and the index leads straight to it.
_PIECES: Final = text(
    'SELECT "offset", content FROM git_job_logs WHERE job_id = :job_id AND "offset" > :earliest'
    ' AND "offset" + size_bytes > :start AND "offset" < :end ORDER BY "offset"'
)


async def find(conn: AsyncConnection, job_id: UUID) -> GitJobView | None:
    """Return a job; None when the entered account has no such one."""
    return view_of(GitJobView, (await conn.execute(_ONE, {"id": job_id})).one_or_none())


async def get(conn: AsyncConnection, job_id: UUID) -> GitJobView:
    """Return a job. Raises NotFoundError."""
    view = await find(conn, job_id)
    if view is None:
        raise NotFoundError("No such job")
    return view


async def of_run(conn: AsyncConnection, run_id: UUID, *, limit: int, offset: int) -> tuple[list[GitJobView], int]:
    """Return a page of a run's jobs, and how many there are."""
    rows, total = await fetch_page(conn, _OF_RUN, {"run_id": run_id}, limit=limit, offset=offset)
    return [view for row in rows if (view := view_of(GitJobView, row))], total


async def report(conn: AsyncConnection, told_of: GitJobReport) -> Recorded[GitJobView]:
    """Record how a job stands. Raises NotFoundError; InvalidInputError for a run without a repository."""
    run = await pipeline_views.run(conn, told_of.pipeline_run_id)
    if run is None:
        raise NotFoundError("No such run")
    if run.repository_id is None:
        raise InvalidInputError("pipeline_run_id: the run belongs to no repository")
    jobs, values = git_jobs.c, told_of.model_dump(exclude={"pipeline_run_id"})
    wanted = select(git_jobs).where(jobs.run_id == run.id, jobs.external_id == told_of.external_id)
    row = (await conn.execute(wanted)).one_or_none()
    if row is None:
        ids: dict[str, object] = {"id": uuid4(), "run_id": run.id, "repository_id": run.repository_id}
        statement = insert(git_jobs).values({**values, **ids, "account_id": text("app_account()")})
        job_id: UUID = (await conn.execute(statement.returning(jobs.id))).scalar_one()
        return await _tell_status(conn, job_id)
    changed = _changes(row, values, told_of)
    if not changed:
        return Recorded(await get(conn, row.id), job_log_stream(row.id))
    await change(conn, git_jobs, row.id, changed)
    return await _tell_status(conn, row.id)


def _changes(row: Row[Any], values: dict[str, object], told_of: GitJobReport) -> dict[str, object]:
    if told_of.attempt < row.attempt or (told_of.attempt == row.attempt and not may_become(row.status, told_of.status)):
        return {}
    if told_of.attempt > row.attempt:
        fresh = {"conclusion": None, "started_at": None, "completed_at": None}
        return fresh | {name: value for name, value in values.items() if value is not None}
    return changes(row, values)


async def append(conn: AsyncConnection, piece: GitJobLogReport) -> Recorded[GitJobView]:
    """Append to a job's log. Idempotent by the offset: what is there already is accepted again.

    Raises NotFoundError; InvalidInputError for a piece over 32 KiB or a log over 64 MiB; ConflictError, whose details
    name the `expected_offset`, for a piece that leaves a gap, differs from what is there, or comes after the end.
    """
    content = as_logged(piece.content)
    job = await _locked(conn, piece.job_id)
    size, end = len(content), piece.offset + len(content)
    if size > MAX_CHUNK_BYTES:
        raise InvalidInputError(f"content: more than {MAX_CHUNK_BYTES} bytes at once")
    if end > MAX_LOG_BYTES:
        raise InvalidInputError(f"offset: a log ends at {MAX_LOG_BYTES} bytes")
    known = piece.offset < job.log_size or (job.log_complete and piece.offset == job.log_size and not size)
    if known:
        if end > job.log_size or await _bytes(conn, job.id, piece.offset, end) != content:
            raise _unexpected("The log has something else there", job)
    elif piece.offset != job.log_size:
        raise _unexpected("A piece is missing before this one", job)
    elif job.log_complete:
        raise _unexpected("The log is complete", job)
    ends_now = piece.is_complete and not job.log_complete and end == job.log_size + (0 if known else size)
    if (known or not size) and not ends_now:
        return Recorded(job, job_log_stream(job.id))
    if not known and size:
        await _store(conn, job.id, piece.offset, content)
    values = {"log_size": max(end, job.log_size), "log_complete": ends_now, "log_error": None}
    await change(conn, git_jobs, job.id, values)
    new = b"" if known else content
    return await _tell_log(conn, job.id, new, max(end, job.log_size) - len(new), is_complete=ends_now)


async def complete(conn: AsyncConnection, end: GitJobLogEndReport) -> Recorded[GitJobView]:
    """Say that a job's log is complete. Idempotent. Raises NotFoundError."""
    job = await _locked(conn, end.job_id)
    if job.log_complete:
        return Recorded(job, job_log_stream(job.id))
    await change(conn, git_jobs, job.id, {"log_complete": True})
    return await _tell_log(conn, job.id, b"", job.log_size, is_complete=True)


async def fail(conn: AsyncConnection, failure: GitJobLogErrorReport) -> Recorded[GitJobView]:
    """Say why a job's log cannot be had; a later piece takes it back. Idempotent. Raises NotFoundError."""
    job = await _locked(conn, failure.job_id)
    if job.log_error == failure.error or job.log_complete:
        return Recorded(job, job_log_stream(job.id))
    await change(conn, git_jobs, job.id, {"log_error": failure.error})
    view = await get(conn, job.id)
    event = GitJobLogError(timestamp=datetime.now(UTC), job_id=view.id, job=view, payload=LogError(error=failure.error))
    return await _tell(conn, view, event)


async def read(conn: AsyncConnection, job_id: UUID, offset: int, limit: int = MAX_CHUNK_BYTES) -> GitJobLogView | None:
    """Return a job's log from an offset on, at most `limit` bytes; None when the account has no such job.

    An offset within a character begins at that character, a limit within one ends before it.
    """
    job = await find(conn, job_id)
    if job is None:
        return None
    begin = min(offset, job.log_size)
    # A character has at most four bytes: three more on either side hold those that the limits cut.
    early = max(begin - 3, 0)
    found = await _bytes(conn, job_id, early, min(begin + limit + 3, job.log_size))
    first = begin - early
    while first and found[first : first + 1] and _inside(found[first]):
        first -= 1
    last = min(len(found), first + limit)
    while last < len(found) and last > first and _inside(found[last]):
        last -= 1
    content = found[first:last]
    at = early + first
    return GitJobLogView(
        job_id=job_id,
        offset=at,
        content=content.decode(),
        next_offset=at + len(content),
        log_size=job.log_size,
        is_complete=job.log_complete and at + len(content) == job.log_size,
    )


def as_logged(content: str) -> bytes:
    """Return a piece as it is kept and counted: a NUL, which Postgres cannot hold, becomes the control code SUB."""
    return storable(content.replace("\x00", "\x1a")).encode()


def _inside(byte: int) -> bool:
    """Whether a byte goes on with a character of UTF-8 rather than beginning one."""
    return byte & 0xC0 == 0x80


def _unexpected(why: str, job: GitJobView) -> ConflictError:
    return ConflictError(f"{why}; go on at {job.log_size}", details={"expected_offset": job.log_size})


async def _locked(conn: AsyncConnection, job_id: UUID) -> GitJobView:
    await conn.execute(_LOCK, {"id": job_id})
    return await get(conn, job_id)


async def _bytes(conn: AsyncConnection, job_id: UUID, start: int, end: int) -> bytes:
    """Return the bytes of a log between two offsets."""
    values = {"job_id": job_id, "start": start, "end": end, "earliest": start - MAX_CHUNK_BYTES}
    rows = (await conn.execute(_PIECES, values)).all()
    if not rows:
        return b""
    first = int(mapping(rows[0])["offset"])
    whole = b"".join(str(mapping(row)["content"]).encode() for row in rows)
    return whole[max(start - first, 0) : end - first]


async def _store(conn: AsyncConnection, job_id: UUID, offset: int, content: bytes) -> None:
    await conn.execute(
        insert(git_job_logs).values(
            {
                "job_id": job_id,
                "offset": offset,
                "account_id": text("app_account()"),
                "size_bytes": len(content),
                "content": content.decode(),
            }
        )
    )


async def _tell_log(
    conn: AsyncConnection, job_id: UUID, content: bytes, offset: int, *, is_complete: bool
) -> Recorded[GitJobView]:
    view = await get(conn, job_id)
    payload = LogChunk(content=content.decode(), offset=offset, chunk_size=len(content), is_complete=is_complete)
    kind = GitJobLogComplete if is_complete else GitJobLogChunk
    return await _tell(conn, view, kind(timestamp=datetime.now(UTC), job_id=job_id, job=view, payload=payload))


async def _tell_status(conn: AsyncConnection, job_id: UUID) -> Recorded[GitJobView]:
    view = await get(conn, job_id)
    payload = JobStanding(status=view.status, conclusion=view.conclusion)
    return await _tell(conn, view, GitJobStatus(timestamp=datetime.now(UTC), job_id=job_id, job=view, payload=payload))


async def _tell(conn: AsyncConnection, view: GitJobView, event: Event) -> Recorded[GitJobView]:
    account_id = await acting_account(conn)
    return await told(conn, view, [event], Aggregate(account_id, f"git_job:{view.id}"), view.version)
