"""Events whose state is ours: publishing one changes the rows, and what is told is what the rows say then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from db import code_factory, git_jobs, pipelines
from db.devops_rows import Recorded
from domain.devops import (
    ContractReport,
    FactoryRunReport,
    GitJobLogEndReport,
    GitJobLogErrorReport,
    GitJobLogReport,
    GitJobReport,
    PipelineGateReport,
    PipelineRunReport,
    PipelineStepReport,
    Report,
    ReviewStateReport,
)
from domain.events.base import Event
from domain.events.devops import (
    CodeFactoryContractUpdated,
    CodeFactoryReviewStateUpdated,
    CodeFactoryRunUpdated,
    GitJobLogChunk,
    GitJobLogComplete,
    GitJobLogError,
    GitJobStatus,
    PipelineApprovalStatus,
    PipelineRunCompleted,
    PipelineRunCreated,
    PipelineRunUpdated,
    PipelineStepUpdated,
)


@dataclass(frozen=True, slots=True)
class Recorder:
    """The payload that a producer gives, and what it does to the rows of the entered account."""

    report: type[Report]
    record: Callable[[AsyncConnection, Any], Awaitable[Recorded[Any]]]


_RUN: Final = Recorder(PipelineRunReport, pipelines.report_run)
RECORDERS: Final[Mapping[type[Event], Recorder]] = {
    PipelineRunCreated: _RUN,
    PipelineRunUpdated: _RUN,
    PipelineRunCompleted: _RUN,
    PipelineStepUpdated: Recorder(PipelineStepReport, pipelines.report_step),
    PipelineApprovalStatus: Recorder(PipelineGateReport, pipelines.report_gate),
    GitJobStatus: Recorder(GitJobReport, git_jobs.report),
    GitJobLogChunk: Recorder(GitJobLogReport, git_jobs.append),
    GitJobLogComplete: Recorder(GitJobLogEndReport, git_jobs.complete),
    GitJobLogError: Recorder(GitJobLogErrorReport, git_jobs.fail),
    CodeFactoryRunUpdated: Recorder(FactoryRunReport, code_factory.report_run),
    CodeFactoryContractUpdated: Recorder(ContractReport, code_factory.report_contract),
    CodeFactoryReviewStateUpdated: Recorder(ReviewStateReport, code_factory.report_review),
}
"""Which of the three events of a run is told is for the rows to say: a run that is new, moved on, or is over."""
