"""AiConversationChannel: one AI conversation, its messages, answers being made and who types."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.errors import PowernodeError
from domain.events.chat import TypingIndicator, conversation_stream
from domain.permissions import Permission
from realtime import commands
from realtime.channel import Action, Caller, Channel, ConversationRef, Resources, register
from realtime.errors import RejectedError
from realtime.greeting import greet, say
from realtime.identity import Identity

MAX_CONTENT_CHARS = 32_000
_STARTED = frozenset({"typing", "started", "start", "true"})


class Params(BaseModel):
    """Which conversation, by its id or its public id."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    conversation_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class SendMessage(BaseModel):
    """A person's message. A repeat under the same `client_id` is stored once."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    content: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CONTENT_CHARS)]
    client_id: Annotated[str, StringConstraints(max_length=64)] | None = None


class Typing(BaseModel):
    """Whether the person types; some clients say it as `status`."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    typing: bool = Field(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _from_status(cls, raw: object) -> object:
        if isinstance(raw, dict) and "typing" not in raw and "status" in raw:
            return {"typing": str(raw["status"]).lower() in _STARTED}  # pyright: ignore[reportUnknownArgumentType]
        return raw  # pyright: ignore[reportUnknownVariableType]


async def _find(identity: Identity, params: Params, resources: Resources) -> ConversationRef:
    found = await resources.find(ConversationRef, identity.account_id, params.conversation_id)
    if found is None:
        raise RejectedError
    return found


async def _send_message(caller: Caller[Params], data: SendMessage) -> None:
    answer: dict[str, object] = {"status": "queued"}
    try:
        found = await _find(caller.identity, caller.params, caller.resources)
        await caller.commands.run(caller.identity, commands.SendMessage(found.id, data.content, data.client_id))
    except RejectedError:
        answer |= {"status": "failed", "error": "This conversation is gone"}
    except PowernodeError as error:
        answer |= {"status": "failed", "error": error.message}
    say(caller, "ai_response_queued", **answer)


async def _type(caller: Caller[Params], data: Typing) -> None:
    stream = caller.streams[0]
    event = TypingIndicator(
        conversation_id=stream.removeprefix(conversation_stream("")),
        user_id=caller.identity.user_id,
        user_name=caller.identity.name,
        typing=data.typing,
        timestamp=datetime.now(UTC),
    )
    await caller.broadcast(stream, event.model_dump_json().encode())


@register
class AiConversationChannel(Channel[Params]):
    """Stream `ai_conversation_{public id}`."""

    name = "AiConversationChannel"
    params = Params
    permission = Permission.CONVERSATIONS_READ
    presence = True
    actions = (
        Action("send_message", SendMessage, Permission.SESSIONS_REPLY, _send_message),
        Action("typing_indicator", Typing, Permission.CONVERSATIONS_READ, _type),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Any conversation of the caller's account."""
        return [conversation_stream((await _find(identity, params, resources)).public_id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Greet with the id as the client gave it."""
        greet(caller, conversation_id=caller.params.conversation_id)
