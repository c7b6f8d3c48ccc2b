"""DevopsPipelineChannel: the runs of one pipeline, or of all pipelines of the account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict

from domain.devops_views import PipelineView, RecentRunsView
from domain.events.devops import devops_account_stream, pipeline_stream
from domain.permissions import Permission
from realtime.channel import Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.identity import Identity


class Params(BaseModel):
    """The own account, and a pipeline of it for that one only."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    account_id: UUID
    pipeline_id: UUID | None = None


@register
class DevopsPipelineChannel(Channel[Params]):
    """Stream `devops_pipeline_{id}`, or `devops_account_{id}`."""

    name = "DevopsPipelineChannel"
    params = Params
    permission = Permission.PIPELINES_READ
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """The caller's own account; a pipeline must be one of its pipelines."""
        if params.account_id != identity.account_id:
            raise RejectedError
        if params.pipeline_id is None:
            return [devops_account_stream(identity.account_id)]
        found = await resources.find(PipelineView, identity.account_id, str(params.pipeline_id))
        if found is None:
            raise RejectedError
        return [pipeline_stream(found.id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet, then show the latest runs as they are now; their `version`s order them among the events."""
        now, params = datetime.now(UTC).isoformat(), caller.params
        pipeline_id = None if params.pipeline_id is None else str(params.pipeline_id)
        greeting = {"type": "subscribed", "message": "Subscribed to pipelines", "pipeline_id": pipeline_id}
        caller.transmit(orjson.dumps(greeting | {"timestamp": now}))
        found = await caller.resources.find(RecentRunsView, caller.identity.account_id, pipeline_id or "")
        if found is not None:
            state = {"type": "recent_runs", "timestamp": now, "is_initial_status": True}
            caller.transmit(orjson.dumps(state | found.model_dump(mode="json")))
