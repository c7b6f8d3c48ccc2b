"""MCP over the cable: what realtime/channels/mcp.py asks for. One JSON-RPC message at a time; nothing is kept between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import mcp_types as types
import orjson
import structlog
from mcp.server.connection import Connection
from mcp.server.runner import serve_one
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.message import MessageMetadata, ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types.version import LATEST_HANDSHAKE_VERSION
from pydantic import ValidationError

from api.deps import principal
from api.mcp import server
from api.mcp.tool import Call
from api.services import Services
from realtime.identity import Identity
from realtime.mcp_orders import McpGreeting, McpMessage

log = structlog.stdlib.get_logger(__name__)

_SERVER: Final = server.build(follows=True)
_TRANSPORT: Final = TransportContext(kind="cable", can_send_request=False)


@dataclass
class _Exchange:
    """One message as the package's dispatcher context; nothing is said to the client but the answer."""

    message_metadata: MessageMetadata
    request_id: types.RequestId | None
    transport: TransportContext = _TRANSPORT
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    can_send_request: bool = field(default=False, init=False)

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Nobody would hear the client's answer."""
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """No tool reports on its way."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """No tool reports on its way."""


def _error(number: object, code: int, message: str, data: object = None) -> dict[str, object]:
    # What was said beside the code, as the older clients read it.
    kind = {"type": message, **({"about": data} if data else {})}
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message, "data": kind}}


def _call(services: Services, identity: Identity, order: McpMessage) -> Call:
    async def follow(uri: str, stream: str) -> None:
        notice = {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}
        await order.follow(stream, orjson.dumps(notice))

    async def unfollow(stream: str) -> None:
        order.unfollow(stream)

    return Call(services, principal(identity), follow, unfollow)


async def answer(services: Services, identity: Identity, order: McpMessage) -> dict[str, object] | None:
    """Answer a message; None for a notification."""
    message = order.message
    number, method, params = message.get("id"), message.get("method"), message.get("params", {})
    well_numbered = isinstance(number, int | str) and not isinstance(number, bool)
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str) or ("id" in message and not well_numbered):
        return _error(number if well_numbered else None, types.INVALID_REQUEST, "Invalid request")
    if "id" not in message:
        return None  # clients only say that they are ready, or gave up waiting; neither changes anything here
    if not isinstance(params, dict):
        return _error(number, types.INVALID_PARAMS, "Invalid params")
    assert isinstance(number, int | str)
    exchange = _Exchange(ServerMessageMetadata(request_context=_call(services, identity, order)), number)
    connection = Connection.from_envelope(LATEST_HANDSHAKE_VERSION, None, None)
    try:
        result = await serve_one(_SERVER, exchange, method, params, connection=connection, lifespan_state=None)  # pyright: ignore[reportUnknownArgumentType] - any JSON
    except MCPError as error:
        return _error(number, error.error.code, error.error.message, error.error.data)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors()[:5])
        return _error(number, types.INVALID_PARAMS, "Invalid params", fields)
    except Exception:  # a tool's mistake must not end the socket
        log.exception("mcp.failed", method=method[:64])
        return _error(number, types.INTERNAL_ERROR, "Internal error")
    return {"jsonrpc": "2.0", "id": number, "result": result}


async def greet(services: Services, identity: Identity, _order: McpGreeting) -> dict[str, object]:
    """Say what there is."""
    call = Call(services, principal(identity))
    capabilities = _SERVER.get_capabilities().model_dump(by_alias=True, mode="json", exclude_none=True)
    tools = [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in server.permitted(call)]
    return {
        "connection_id": identity.token_id[:8],
        "server_capabilities": capabilities,
        "available_tools": [{"name": tool["name"], "description": tool["description"]} for tool in tools],
        "account_id": str(identity.account_id),
        "user_permissions": sorted(identity.permissions),
    }


HANDLERS: Final[Mapping[type, Callable[..., Any]]] = {McpMessage: answer, McpGreeting: greet}
