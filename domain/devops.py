"""Pipelines, jobs and code factory runs: their statuses, the steps these may take, and what producers report about them.

A report names things by the producer's own ids (`external_id`), so that it may be sent again, late or out of order: a
status never goes back within one attempt (`may_become`), and what changes nothing tells nobody. Recorded by
db/pipelines.py, db/git_jobs.py and db/code_factory.py, for git webhooks and `POST /api/v1/events` alike.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from domain.sanitize import storable

MAX_CHUNK_BYTES: Final = 32 * 1024
"""The largest piece of a log that is appended at once. Written as JSON a byte may take six: it still fits into one event."""


UNNAMED: Final = "Workflow"
"""What a workflow is called until its name is known."""
MAX_NAME_CHARS: Final = 300
MAX_KEY_CHARS: Final = 200
MAX_DETAILS_BYTES: Final = 64 * 1024


class RunStatus(StrEnum):
    """Of a pipeline's run, of its steps, and of a code factory run; the last four are final."""

    PENDING = "pending"
    WAITING = "waiting"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class JobStatus(StrEnum):
    """Of a job, in the words of the platforms; the last one is final and has a `conclusion`."""

    QUEUED = "queued"
    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class GateStatus(StrEnum):
    """Of a gate in a pipeline that waits for a person."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class ContractStatus(StrEnum):
    """Of a code factory contract."""

    DRAFT = "draft"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ReviewStatus(StrEnum):
    """Of a review of a code factory run."""

    PENDING = "pending"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    REJECTED = "rejected"


FINAL: Final = (RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELLED, RunStatus.SKIPPED)
_RANKS: Final[dict[str, int]] = {
    RunStatus.PENDING: 0,
    RunStatus.WAITING: 0,
    RunStatus.RUNNING: 1,
    **dict.fromkeys(FINAL, 2),
    JobStatus.QUEUED: 0,
    JobStatus.IN_PROGRESS: 1,
    JobStatus.COMPLETED: 2,
}


def may_become(now: str, then: str) -> bool:
    """Whether a run, step or job may go from one status to another: forward, and out of a final one never."""
    return _RANKS[now] < 2 and _RANKS[then] >= _RANKS[now]


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


def _known(moment: datetime | None) -> datetime | None:
    """A time that was never set comes as the zero of its maker: year 1, or the start of the epoch."""
    return moment if moment is not None and 1970 < moment.year < 9999 else None


def _clean(value: object) -> object:
    return storable(value) if isinstance(value, str) else value


def _small(details: dict[str, object]) -> dict[str, object]:
    try:
        size = len(orjson.dumps(details))
    except TypeError as error:
        raise ValueError("a number is too large") from error
    if size > MAX_DETAILS_BYTES:
        raise ValueError(f"more than {MAX_DETAILS_BYTES} bytes")
    return details


Text = Annotated[str, BeforeValidator(_clean), Field(max_length=1000)]
Key = Annotated[str, BeforeValidator(_clean), Field(min_length=1, max_length=MAX_KEY_CHARS)]
Name = Annotated[str, BeforeValidator(_clean), Field(min_length=1, max_length=MAX_NAME_CHARS)]
Optional = Annotated[Text | None, BeforeValidator(_blank_is_none)]
Moment = Annotated[AwareDatetime | None, AfterValidator(_known)]
Details = Annotated[dict[str, object], AfterValidator(_small)]
Percent = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Report(BaseModel):
    """Base of what producers report."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PipelineRunReport(Report):
    """How a run of a pipeline stands. The pipeline is named by its id, or by its `pipeline_external_id` and its
    `pipeline_name`, and is made with its first run. A higher `attempt` begins the run anew, a lower one is late.
    """

    pipeline_id: UUID | None = None
    pipeline_external_id: Key | None = None
    pipeline_name: Name | None = None
    repository_id: UUID | None = None
    external_id: Key
    status: RunStatus
    run_number: Count | None = None
    attempt: Count = 1
    trigger_type: Optional = None
    branch: Optional = None
    commit_sha: Optional = None
    html_url: Optional = None
    error_message: Optional = None
    started_at: Moment = None
    completed_at: Moment = None

    @model_validator(mode="after")
    def _names_a_pipeline(self) -> PipelineRunReport:
        if (self.pipeline_id is None) == (self.pipeline_external_id is None):
            raise ValueError("name the pipeline by pipeline_id or by pipeline_external_id")
        if self.pipeline_external_id is not None and self.pipeline_name is None:
            raise ValueError("pipeline_external_id needs pipeline_name")
        return self


class PipelineStepReport(Report):
    """How a step of a run stands; `position` orders the steps. Without `attempt`: of the run's current one."""

    pipeline_run_id: UUID
    external_id: Key
    step_name: Name
    step_type: Optional = None
    position: Count = 0
    status: RunStatus
    attempt: Count | None = None
    started_at: Moment = None
    completed_at: Moment = None
    error_message: Optional = None


class PipelineGateReport(Report):
    """A gate of a pipeline waits for a person, or was decided."""

    pipeline_id: UUID
    gate_name: Name
    status: GateStatus


class GitJobReport(Report):
    """How a job of a run stands. The run must belong to a repository."""

    pipeline_run_id: UUID
    external_id: Key
    name: Name
    status: JobStatus
    conclusion: Optional = None
    attempt: Count = 1
    runner_name: Optional = None
    html_url: Optional = None
    started_at: Moment = None
    completed_at: Moment = None


class GitJobLogReport(Report):
    """A piece of a job's log. `offset`: how many bytes of UTF-8 come before it. `is_complete`: nothing follows."""

    job_id: UUID
    offset: int = Field(ge=0, le=2**62)
    content: str = Field(max_length=MAX_CHUNK_BYTES)
    is_complete: bool = False


class GitJobLogEndReport(Report):
    """A job's log is complete."""

    job_id: UUID


class GitJobLogErrorReport(Report):
    """A job's log cannot be had; `error` is fit to be shown."""

    job_id: UUID
    error: Text = Field(min_length=1)


class ContractReport(Report):
    """How a code factory contract stands: what is to be built, and how it is judged."""

    external_id: Key
    name: Name
    status: ContractStatus
    details: Details = Field(default_factory=dict)


class FactoryRunReport(Report):
    """How a code factory run stands; `contract_id` is the contract that it fulfils."""

    external_id: Key
    title: Name
    status: RunStatus
    contract_id: UUID | None = None
    phase: Optional = None
    progress_percentage: Percent = 0
    error_message: Optional = None
    details: Details = Field(default_factory=dict)


class ReviewStateReport(Report):
    """How a review of a code factory run stands."""

    run_id: UUID
    external_id: Key
    status: ReviewStatus
    reviewer: Optional = None
    summary: Optional = None
    details: Details = Field(default_factory=dict)


class WorkflowStepReport(Report):
    """A step of a git platform's job."""

    number: Count
    name: Name
    status: RunStatus
    started_at: Moment
    completed_at: Moment
    error_message: Optional


class WorkflowJobReport(Report):
    """What a git platform says of a job, of the run that it belongs to, and of its steps. `workflow_name`: where known."""

    run_external_id: Key
    run_attempt: Count
    workflow_name: Optional
    branch: Optional
    commit_sha: Optional
    external_id: Key
    name: Name
    status: JobStatus
    conclusion: Optional
    runner_name: Optional
    html_url: Optional
    started_at: Moment
    completed_at: Moment
    steps: tuple[WorkflowStepReport, ...]
