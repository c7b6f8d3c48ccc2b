"""AiStreamingChannel: text as a model makes it, of one execution or one AI conversation (realtime/token_stream.py sends it)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from domain.events.streaming import conversation_tokens_stream, execution_tokens_stream
from domain.permissions import Permission
from domain.run_views import AgentExecutionView
from realtime.channel import Caller, Channel, ConversationRef, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet
from realtime.identity import Identity

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class Params(BaseModel):
    """Which execution or which conversation, one of the two, by its public id or its id."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    execution_id: Key | None = None
    conversation_id: Key | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.execution_id is None) == (self.conversation_id is None):
            raise ValueError("give execution_id or conversation_id")
        return self


@register
class AiStreamingChannel(Channel[Params]):
    """Stream `ai_streaming:execution:{execution_id}` or `ai_streaming:conversation:{conversation_id}`, public ids."""

    name = "AiStreamingChannel"
    params = Params
    permission = Permission.CONVERSATIONS_READ
    actions = ()

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Any conversation of the caller's account; any execution, if they may read agents."""
        if params.execution_id is not None:
            if not identity.may(Permission.AGENTS_READ):
                raise RejectedError
            execution = await resources.find(AgentExecutionView, identity.account_id, params.execution_id)
            if execution is not None:
                return [execution_tokens_stream(execution.execution_id)]
        elif params.conversation_id is not None:
            talk = await resources.find(ConversationRef, identity.account_id, params.conversation_id)
            if talk is not None:
                return [conversation_tokens_stream(talk.public_id)]
        raise RejectedError

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet with the id as the client gave it."""
        kind = "execution" if caller.params.execution_id is not None else "conversation"
        greet(caller, subscription_type=kind, **caller.params.model_dump(exclude_none=True))
