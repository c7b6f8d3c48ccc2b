"""ChatSessionChannel: one chat session for operators, its messages, their delivery, who owns it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict

from domain.events.chat import SessionUpdated, session_stream
from domain.permissions import Permission
from domain.views import SessionView
from realtime.channel import Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.identity import Identity


class Params(BaseModel):
    """Which session."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    session_id: UUID


@register
class ChatSessionChannel(Channel[Params]):
    """Stream `chat_session_{id}`."""

    name = "ChatSessionChannel"
    params = Params
    permission = Permission.SESSIONS_READ
    presence = True
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Any session of the caller's account."""
        found = await resources.find(SessionView, identity.account_id, str(params.session_id))
        if found is None:
            raise RejectedError
        return [session_stream(found.id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet, then show the session as it is now; its `version` orders it among the events already on their way."""
        now = datetime.now(UTC)
        greeting = {"type": "subscription.confirmed", "session_id": str(caller.params.session_id)}
        caller.transmit(orjson.dumps(greeting | {"timestamp": now.isoformat()}))
        view = await caller.resources.find(SessionView, caller.identity.account_id, str(caller.params.session_id))
        if view is not None:
            event = SessionUpdated(session=view, timestamp=now)
            caller.transmit(orjson.dumps(event.model_dump(mode="json") | {"is_initial_status": True}))
