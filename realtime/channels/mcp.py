"""McpChannel: the Model Context Protocol over the cable, one JSON-RPC 2.0 message a frame.

What is sent without an action is such a message; the actions are older names for some of them. The same server answers at
`/mcp` (api/mcp). Only here are resources followed by `resources/subscribe`: HTTP without sessions has no way back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field

from domain.events.mcp import mcp_account_stream, mcp_user_stream
from domain.permissions import Permission
from realtime.channel import Action, Caller, Channel, Resources, register
from realtime.identity import Identity
from realtime.mcp_orders import McpGreeting, McpMessage

_PROTOCOL = "2025-06-18"
_KINDS = {"session_events": "sessions", "conversation_events": "conversations", "channel_events": "channels"}


class Params(BaseModel):
    """No params: the account is the caller's."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(BaseModel):
    """A JSON-RPC message, as it came; what is wrong with it is said in JSON-RPC's own words."""

    model_config = ConfigDict(extra="allow", frozen=True)
    id: Any = None
    params: Any = Field(default_factory=dict[str, Any])


Translate = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]
"""Params of an older action -> method and params of MCP."""


async def _answer(caller: Caller[Params], message: dict[str, object]) -> None:
    order = McpMessage(message, caller.follow, caller.unfollow)
    answer = await caller.commands.run(caller.identity, order)
    if answer is not None:
        _say(caller, answer)


def _say(caller: Caller[Params], message: dict[str, object]) -> None:
    caller.transmit(orjson.dumps(message | {"timestamp": datetime.now(UTC).isoformat()}))


async def _receive(caller: Caller[Params], data: Message) -> None:
    await _answer(caller, data.model_dump(exclude_unset=True))


def _by_name(name: str, translate: Translate) -> Action[Params, Message]:
    async def run(caller: Caller[Params], data: Message) -> None:
        fields = data.model_dump()
        params = cast("dict[str, Any]", fields["params"] if isinstance(fields["params"], dict) else {})
        rest = {key: value for key, value in fields.items() if key not in {"id", "params", "jsonrpc", "method"}}
        method, wanted = translate({**rest, **params})
        # Who asks by an action is answered, whether it thought of an id or not.
        number = fields["id"] if fields["id"] is not None else name
        await _answer(caller, {"jsonrpc": "2.0", "id": number, "method": method, "params": wanted})

    return Action(name, Message, Permission.AGENTS_READ, run)


def _initialize(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    asked = {"protocolVersion": _PROTOCOL, "capabilities": {}, "clientInfo": {"name": "cable", "version": "1"}}
    return "initialize", asked | given


def _call(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "tools/call", {"name": given.get("name"), "arguments": given.get("arguments") or {}}


def _execute(tool: str) -> Translate:
    return lambda given: ("tools/call", {"name": tool, "arguments": given})


def _subscribe(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = _KINDS.get(str(given.get("resource_type")), "unknown")
    return "resources/subscribe", {"uri": given.get("uri") or f"powernode://{kind}/{given.get('resource_id')}"}


@register
class McpChannel(Channel[Params]):
    """Streams `mcp_account_{id}` and `mcp_user_{id}`."""

    name = "McpChannel"
    params = Params
    permission = Permission.AGENTS_READ
    actions: Sequence[Action[Params, Any]] = (
        Action("receive", Message, Permission.AGENTS_READ, _receive),
        _by_name("initialize_protocol", _initialize),
        _by_name("list_tools", lambda _given: ("tools/list", {})),
        _by_name("describe_tool", lambda given: ("tools/describe", {"name": given.get("name")})),
        _by_name("call_tool", _call),
        _by_name("execute_workflow", _execute("execute_workflow")),
        _by_name("execute_agent", _execute("execute_agent")),
        _by_name("ping", lambda _given: ("ping", {})),
        _by_name("subscribe_to_resource", _subscribe),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        """Everybody hears their own account and what is said to themselves."""
        return [mcp_account_stream(identity.account_id), mcp_user_stream(identity.user_id)]

    async def subscribed(self, caller: Caller[Params]) -> None:
        """Say what there is, before anything is asked."""
        said: Awaitable[dict[str, object]] = caller.commands.run(caller.identity, McpGreeting())
        _say(caller, {"jsonrpc": "2.0", "method": "initialized", "params": await said})
