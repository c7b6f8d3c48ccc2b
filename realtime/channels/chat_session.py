"""ChatSessionChannel: one chat session for operators, its messages, their delivery, who owns it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.events.chat import SessionUpdated, session_stream
from domain.permissions import Permission
from domain.views import SessionView
from realtime.channel import Caller, Channel, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet, show_initial
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
        greet(caller, session_id=str(caller.params.session_id))
        view = await caller.resources.find(SessionView, caller.identity.account_id, str(caller.params.session_id))
        if view is not None:
            event = SessionUpdated(session=view, timestamp=datetime.now(UTC))
            show_initial(caller, event)
