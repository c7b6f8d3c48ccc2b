"""Events of pipelines, jobs, their logs, and the code factory."""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

from domain.devops_views import (
    FactoryContractView,
    FactoryRunView,
    GitJobView,
    PipelineRunView,
    PipelineView,
    ReviewStateView,
    StepExecutionView,
)
from domain.events.base import Event
from domain.file_views import View


def pipeline_stream(pipeline_id: UUID | str) -> str:
    """Return the stream of a pipeline."""
    return f"devops_pipeline_{pipeline_id}"


def devops_account_stream(account_id: UUID | str) -> str:
    """Return the stream of all pipelines of an account."""
    return f"devops_account_{account_id}"


def job_log_stream(job_id: UUID | str) -> str:
    """Return the stream of a job and its log."""
    return f"git_job_logs:{job_id}"


def factory_stream(kind: str, key: UUID | str) -> str:
    """Return a stream of the code factory; kind: `run`, `contract`, `review_state`, `account`."""
    return f"code_factory:{kind}:{key}"


class _PipelineEvent(Event):
    account_id: UUID
    pipeline_id: UUID

    def streams(self) -> list[str]:
        return [pipeline_stream(self.pipeline_id), devops_account_stream(self.account_id)]


class PipelineRunCreated(_PipelineEvent):
    """A run of a pipeline was heard of for the first time; the view is whole."""

    type: Literal["run_created"] = "run_created"
    pipeline_run: PipelineRunView


class PipelineRunUpdated(_PipelineEvent):
    """A run of a pipeline moved on, or began anew; the view is whole."""

    type: Literal["run_updated"] = "run_updated"
    pipeline_run: PipelineRunView


class PipelineRunCompleted(_PipelineEvent):
    """A run of a pipeline is over; the view is whole."""

    type: Literal["run_completed"] = "run_completed"
    pipeline_run: PipelineRunView


class PipelineStepUpdated(_PipelineEvent):
    """A step of a run moved on; the views of the step and of its run are whole."""

    type: Literal["step_updated"] = "step_updated"
    pipeline_run_id: UUID
    step_execution: StepExecutionView
    progress_percentage: int
    pipeline_run: PipelineRunView


class PipelineApprovalStatus(_PipelineEvent):
    """A gate of a pipeline waits for a person, or was decided; the pipeline's view is whole."""

    type: Literal["approval_status"] = "approval_status"
    status: str
    gate_name: str
    pipeline_name: str
    pipeline: PipelineView


class LogChunk(View):
    """A piece of a log; `offset` and `chunk_size` count bytes of UTF-8."""

    content: str
    offset: int
    chunk_size: int
    is_complete: bool


class LogError(View):
    """Why a log cannot be had."""

    error: str


class JobStanding(View):
    """How a job stands."""

    status: str
    conclusion: str | None


class _JobEvent(Event):
    job_id: UUID
    job: GitJobView

    def streams(self) -> list[str]:
        return [job_log_stream(self.job_id)]


class GitJobLogChunk(_JobEvent):
    """A job logged something; the job's view is whole."""

    type: Literal["log.chunk"] = "log.chunk"
    payload: LogChunk


class GitJobLogComplete(_JobEvent):
    """A job's log is complete; the payload holds its last piece, which may be empty."""

    type: Literal["log.complete"] = "log.complete"
    payload: LogChunk


class GitJobLogError(_JobEvent):
    """A job's log cannot be had."""

    type: Literal["log.error"] = "log.error"
    payload: LogError


class GitJobStatus(_JobEvent):
    """A job moved on; its view is whole."""

    type: Literal["job.status"] = "job.status"
    payload: JobStanding


class CodeFactoryRunUpdated(Event):
    """A code factory run was made or moved on; the view is whole."""

    event: Literal["run_updated"] = "run_updated"
    account_id: UUID
    payload: FactoryRunView

    def streams(self) -> list[str]:
        """Return the run's stream and the account's."""
        return [factory_stream("run", self.payload.id), factory_stream("account", self.account_id)]


class CodeFactoryContractUpdated(Event):
    """A code factory contract was made or changed; the view is whole."""

    event: Literal["contract_updated"] = "contract_updated"
    account_id: UUID
    payload: FactoryContractView

    def streams(self) -> list[str]:
        """Return the contract's stream and the account's."""
        return [factory_stream("contract", self.payload.id), factory_stream("account", self.account_id)]


class CodeFactoryReviewStateUpdated(Event):
    """A review of a code factory run was asked for or moved on; the view is whole."""

    event: Literal["review_state_updated"] = "review_state_updated"
    account_id: UUID
    payload: ReviewStateView

    def streams(self) -> list[str]:
        """Return the streams of the review, of its run, and of the account."""
        return [
            factory_stream("review_state", self.payload.id),
            factory_stream("run", self.payload.run_id),
            factory_stream("account", self.account_id),
        ]


EVENTS: Final[tuple[type[Event], ...]] = (
    PipelineRunCreated,
    PipelineRunUpdated,
    PipelineRunCompleted,
    PipelineStepUpdated,
    PipelineApprovalStatus,
    GitJobLogChunk,
    GitJobLogComplete,
    GitJobLogError,
    GitJobStatus,
    CodeFactoryRunUpdated,
    CodeFactoryContractUpdated,
    CodeFactoryReviewStateUpdated,
)
