"""Signed webhooks of git platforms, GitHub's and Gitea's: who sent it, and what it says of runs and jobs.

Both sign the raw body with HMAC-SHA256: GitHub in `X-Hub-Signature-256: sha256=<hex>` (docs.github.com, *Validating
webhook deliveries*), Gitea in `X-Gitea-Signature: <hex>` (go-gitea/gitea, services/webhook/deliver.go, which adds GitHub's
headers too). The shapes: docs.github.com, *Webhook events and payloads*, `workflow_run` and `workflow_job`; Gitea's are made
after them (go-gitea/gitea, modules/structs/repo_actions.go, services/convert/convert.go), and differ so:

- Gitea's job does not name its workflow, and its workflow's id is the file's name;
- what has not begun or ended has the zero of Go or Unix for a time, where GitHub has null;
- its run says `started_at` and `completed_at`, GitHub's `run_started_at`, and `updated_at` for the end.

A platform repeats a delivery under the same id only when somebody asks it to; GitHub sends no order, so `in_progress` may
come after `completed`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.devops import (
    FINAL,
    MAX_KEY_CHARS,
    MAX_NAME_CHARS,
    UNNAMED,
    JobStatus,
    PipelineRunReport,
    RunStatus,
    WorkflowJobReport,
    WorkflowStepReport,
)
from domain.errors import PayloadError, SignatureError

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_PHASES: Final = {"in_progress": RunStatus.RUNNING, "waiting": RunStatus.WAITING}
_ENDS: Final = {
    "success": RunStatus.SUCCESS,
    "neutral": RunStatus.SUCCESS,
    "cancelled": RunStatus.CANCELLED,
    "skipped": RunStatus.SKIPPED,
}
_JOBS: Final = {
    "in_progress": JobStatus.IN_PROGRESS,
    "waiting": JobStatus.WAITING,
    "completed": JobStatus.COMPLETED,
}


@dataclass(frozen=True, slots=True)
class _Dialect:
    signature: str
    prefix: str
    event: str
    delivery: str


DIALECTS: Final[Mapping[str, _Dialect]] = {
    "github": _Dialect("x-hub-signature-256", "sha256=", "x-github-event", "x-github-delivery"),
    "gitea": _Dialect("x-gitea-signature", "", "x-gitea-event", "x-gitea-delivery"),
}


@dataclass(frozen=True, slots=True)
class GitDelivery:
    """A webhook by its headers."""

    event: str
    delivery_id: str


Headers = Mapping[str, Sequence[str]]
"""Lower-case name -> all values."""


def verify(provider: str, headers: Headers, body: bytes, secret: str) -> GitDelivery:
    """Check who sent a webhook. Raises SignatureError; PayloadError for signed ones without an event or a delivery id."""
    dialect = DIALECTS[provider]
    given = headers.get(dialect.signature, ())
    if len(given) != 1 or not given[0].startswith(dialect.prefix):
        raise SignatureError("The webhook is not signed")
    said = given[0].removeprefix(dialect.prefix)
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not secret or _HEX.fullmatch(said) is None or not hmac.compare_digest(said, wanted):
        raise SignatureError("The webhook's signature is wrong")
    event, delivery = headers.get(dialect.event, ()), headers.get(dialect.delivery, ())
    if len(event) != 1 or len(delivery) != 1 or not 0 < len(delivery[0]) <= 100 or len(event[0]) > 100:
        raise PayloadError(f"The webhook needs one {dialect.event} and one {dialect.delivery}")
    return GitDelivery(event[0], delivery[0])


def _cut(name: str) -> str:
    """A step without a name of its own is called by its whole first line."""
    return name[:MAX_NAME_CHARS]


def _text(value: object) -> object:
    """A number, where the other platform has a text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class _Theirs(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


Id = Annotated[str, BeforeValidator(_text), Field(max_length=100)]


class Repository(_Theirs):
    """Whose pipelines a webhook is about."""

    id: Id
    full_name: str = Field(min_length=1, max_length=300)


class _Workflow(_Theirs):
    id: Id
    name: str | None = None
    path: str | None = None


class _Run(_Theirs):
    id: Id
    name: str | None = None
    status: str
    conclusion: str | None = None
    run_number: int | None = None
    run_attempt: int | None = None
    event: str | None = None
    head_branch: str | None = None
    head_sha: str | None = None
    html_url: str | None = None
    workflow_id: Id | None = None
    path: str | None = None
    run_started_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    updated_at: datetime | None = None


class _Step(_Theirs):
    number: int
    name: str
    status: str
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


class _Job(_Theirs):
    id: Id
    run_id: Id
    run_attempt: int | None = None
    workflow_name: str | None = None
    name: str
    status: str
    conclusion: str | None = None
    head_branch: str | None = None
    head_sha: str | None = None
    html_url: str | None = None
    runner_name: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    steps: list[_Step] | None = None


class _AnyBody(_Theirs):
    repository: Repository


class _RunBody(_AnyBody):
    workflow: _Workflow | None = None
    workflow_run: _Run


class _JobBody(_AnyBody):
    workflow_job: _Job


def parse(
    event: str, body: bytes, repository_id: UUID
) -> tuple[Repository, PipelineRunReport | WorkflowJobReport] | None:
    """Return what a verified webhook says, and of which repository; None for an event that we have no use for.

    Raises PayloadError.
    """
    if event not in {"workflow_run", "workflow_job"}:
        return None
    try:
        if event == "workflow_run":
            run = _RunBody.model_validate_json(body)
            return run.repository, _run(run, repository_id)
        job = _JobBody.model_validate_json(body)
        return job.repository, _job(job.workflow_job)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PayloadError(f"{event}: {where or 'body'}: {first['msg']}; the content type must be JSON") from error


def _ended(status: str, conclusion: str | None) -> RunStatus:
    if status == "completed":
        return _ENDS.get(conclusion or "", RunStatus.FAILURE)
    return _PHASES.get(status, RunStatus.PENDING)


def _why(status: RunStatus, conclusion: str | None) -> str | None:
    """Why something failed, where its platform says more than that it did."""
    tells = status == RunStatus.FAILURE and conclusion and conclusion != "failure"
    return conclusion.replace("_", " ") if conclusion and tells else None


def _run(body: _RunBody, repository_id: UUID) -> PipelineRunReport:
    run, workflow = body.workflow_run, body.workflow
    path = (run.path or "").partition("@")[0]
    names = (workflow.name if workflow else None, run.name, path, UNNAMED)
    ids = (workflow.id if workflow else None, run.workflow_id, path, f"name:{run.name or UNNAMED}")
    status = _ended(run.status, run.conclusion)
    return PipelineRunReport(
        pipeline_external_id=next(one for one in ids if one)[:MAX_KEY_CHARS],
        pipeline_name=_cut(next(one for one in names if one)),
        repository_id=repository_id,
        external_id=run.id,
        status=status,
        run_number=run.run_number,
        attempt=run.run_attempt or 1,
        trigger_type=run.event,
        branch=run.head_branch,
        commit_sha=run.head_sha,
        html_url=run.html_url,
        error_message=_why(status, run.conclusion),
        started_at=run.run_started_at or run.started_at,
        completed_at=(run.completed_at or run.updated_at) if status in FINAL else None,
    )


def _job(job: _Job) -> WorkflowJobReport:
    return WorkflowJobReport(
        run_external_id=job.run_id,
        run_attempt=job.run_attempt or 1,
        workflow_name=_cut(job.workflow_name or ""),
        branch=job.head_branch,
        commit_sha=job.head_sha,
        external_id=job.id,
        name=_cut(job.name) or job.id,
        status=_JOBS.get(job.status, JobStatus.QUEUED),
        conclusion=job.conclusion,
        runner_name=job.runner_name,
        html_url=job.html_url,
        started_at=job.started_at,
        completed_at=job.completed_at,
        steps=tuple(_step(step) for step in job.steps or ()),
    )


def _step(step: _Step) -> WorkflowStepReport:
    status = _ended(step.status, step.conclusion)
    return WorkflowStepReport(
        number=step.number,
        name=_cut(step.name) or str(step.number),
        status=status,
        started_at=step.started_at,
        completed_at=step.completed_at,
        error_message=_why(status, step.conclusion),
    )
