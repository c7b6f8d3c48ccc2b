"""Pipelines, jobs, logs and code factory runs as readers see them, over REST and in events alike."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.file_views import View


class GitRepositoryView(View):
    """A repository whose platform tells us of its pipelines. `ignored_events`: signed ones that we had no use for."""

    id: UUID
    provider: str
    full_name: str
    last_event_at: datetime | None
    ignored_events: int
    version: int
    created_at: datetime


class PipelineView(View):
    """A pipeline. `gate_name`, `gate_status`: the last gate that asked for a person, and how that stands."""

    id: UUID
    repository_id: UUID | None
    name: str
    gate_name: str | None
    gate_status: str | None
    version: int
    created_at: datetime


class PipelineRunView(View):
    """A run of a pipeline. `progress_percentage`: how many of its known steps are over; `current_step` runs just now."""

    id: UUID
    pipeline_id: UUID
    pipeline_name: str
    repository_id: UUID | None
    run_number: int | None
    attempt: int
    status: str
    trigger_type: str | None
    branch: str | None
    commit_sha: str | None
    started_at: datetime | None
    completed_at: datetime | None
    duration_seconds: float | None
    progress_percentage: int
    error_message: str | None
    current_step: str | None
    html_url: str | None
    version: int
    created_at: datetime


class StepExecutionView(View):
    """A step of a run."""

    id: UUID
    step_name: str
    step_type: str | None
    position: int
    attempt: int
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    version: int


class GitJobView(View):
    """A job of a run. `log_size`: bytes of UTF-8 logged so far, which is the offset of the next piece."""

    id: UUID
    repository_id: UUID
    pipeline_id: UUID
    pipeline_run_id: UUID
    name: str
    attempt: int
    status: str
    conclusion: str | None
    runner_name: str | None
    html_url: str | None
    started_at: datetime | None
    completed_at: datetime | None
    log_size: int
    log_complete: bool
    log_error: str | None
    version: int
    created_at: datetime


class GitJobLogView(View):
    """A piece of a job's log. Offsets are bytes of UTF-8; one within a character begins at that character.

    `next_offset` is what to ask for next; `log_size` is how much there is.
    """

    job_id: UUID
    offset: int
    content: str
    next_offset: int
    log_size: int
    is_complete: bool


class RecentRunsView(View):
    """The latest runs of a pipeline or of the account, newest first."""

    pipeline_runs: list[PipelineRunView]


class FactoryContractView(View):
    """A code factory contract."""

    id: UUID
    external_id: str
    name: str
    status: str
    details: dict[str, object]
    version: int
    created_at: datetime


class FactoryRunView(View):
    """A code factory run."""

    id: UUID
    external_id: str
    contract_id: UUID | None
    title: str
    status: str
    phase: str | None
    progress_percentage: int
    error_message: str | None
    details: dict[str, object]
    version: int
    created_at: datetime


class ReviewStateView(View):
    """A review of a code factory run."""

    id: UUID
    run_id: UUID
    external_id: str
    status: str
    reviewer: str | None
    summary: str | None
    details: dict[str, object]
    version: int
    created_at: datetime


class ServiceTokenView(View):
    """A token of a program. It may publish to streams of its account that begin with one of `stream_prefixes`."""

    id: UUID
    name: str
    permissions: list[str]
    stream_prefixes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
