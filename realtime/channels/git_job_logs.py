"""GitJobLogsChannel: one job and its log as it grows, from any offset."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from domain.devops_views import GitJobLogView, GitJobView
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
from domain.permissions import Permission
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import say
from realtime.identity import Identity

REPLAY_BYTES: Final = 384 * 1024
"""How much of a log is sent at once, as JSON: a connection's outbox has room for it. A client asks for the rest."""


class Params(BaseModel):
    """Which job; the three must belong together. `offset`: how many bytes of the log the client has."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    repository_id: UUID
    pipeline_id: UUID
    job_id: UUID
    offset: int = Field(0, ge=0, le=2**62, strict=True)


class Refresh(BaseModel):
    """Where to read again from, in bytes."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    offset: int = Field(0, ge=0, le=2**62, strict=True)


async def _find(identity: Identity, params: Params, resources: Resources) -> GitJobView:
    found = await resources.find(GitJobView, identity.account_id, str(params.job_id))
    if found is None or (found.repository_id, found.pipeline_id) != (params.repository_id, params.pipeline_id):
        raise RejectedError
    return found


def _show(caller: Caller[Params], event: Event, mark: str) -> None:
    caller.transmit(orjson.dumps(event.model_dump(mode="json") | {mark: True}))


async def _replay(caller: Caller[Params], job: GitJobView, offset: int) -> None:
    """Send what was logged from an offset on, in pieces; `has_more` says that the rest is to be asked for."""
    sent, more = 0, True
    while more and sent < REPLAY_BYTES:
        found = await caller.resources.find(GitJobLogView, caller.identity.account_id, f"{job.id}@{offset}")
        if found is None:
            return
        payload = LogChunk(
            content=found.content,
            offset=found.offset,
            chunk_size=found.next_offset - found.offset,
            is_complete=found.is_complete,
        )
        kind = GitJobLogComplete if found.is_complete else GitJobLogChunk
        event = kind(timestamp=datetime.now(UTC), job_id=job.id, job=job, payload=payload)
        offset, more = found.next_offset, found.next_offset < found.log_size
        frame = event.model_dump(mode="json") | {"is_replay": True, "next_offset": offset}
        sent += len(orjson.dumps(frame))
        caller.transmit(orjson.dumps(frame | {"has_more": more and sent >= REPLAY_BYTES}))


async def _refresh(caller: Caller[Params], data: Refresh) -> None:
    try:
        job = await _find(caller.identity, caller.params, caller.resources)
    except RejectedError:
        caller.transmit(
            orjson.dumps({"type": "error", "job_id": str(caller.params.job_id), "error": "The job is gone"})
        )
        return
    _state(caller, job, "is_replay")
    await _replay(caller, job, data.offset)


def _state(caller: Caller[Params], job: GitJobView, mark: str) -> None:
    now = datetime.now(UTC)
    standing = JobStanding(status=job.status, conclusion=job.conclusion)
    _show(caller, GitJobStatus(timestamp=now, job_id=job.id, job=job, payload=standing), mark)
    if job.log_error is not None:
        failure = GitJobLogError(timestamp=now, job_id=job.id, job=job, payload=LogError(error=job.log_error))
        _show(caller, failure, mark)


@register
class GitJobLogsChannel(Channel[Params]):
    """Stream `git_job_logs:{job_id}`."""

    name = "GitJobLogsChannel"
    params = Params
    permission = Permission.PIPELINES_LOGS
    actions = (Action("refresh", Refresh, Permission.PIPELINES_LOGS, _refresh),)

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """A job of the caller's account, of this repository and this pipeline."""
        return [job_log_stream((await _find(identity, params, resources)).id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet, show how the job stands, and what was logged so far from the client's offset on."""
        try:
            job = await _find(caller.identity, caller.params, caller.resources)
        except RejectedError:
            return
        say(
            caller,
            "connection_established",
            job_id=str(job.id),
            repository_id=str(job.repository_id),
            pipeline_id=str(job.pipeline_id),
        )
        _state(caller, job, "is_initial_status")
        await _replay(caller, job, caller.params.offset)
