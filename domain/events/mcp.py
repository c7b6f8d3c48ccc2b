"""Events of the Model Context Protocol: what was done through it."""

from __future__ import annotations

from typing import ClassVar, Final, Literal
from uuid import UUID

from domain.events.base import Event


def mcp_account_stream(account_id: UUID) -> str:
    """Return the stream of what is done in an account by MCP."""
    return f"mcp_account_{account_id}"


def mcp_user_stream(user_id: UUID) -> str:
    """Return the stream of what is said to one person by MCP."""
    return f"mcp_user_{user_id}"


class McpNotification(Event):
    """A tool was called, over `/mcp` or the cable. Passing; a JSON-RPC notification, as everything on `McpChannel`."""

    transient: ClassVar[bool] = True
    type: Literal["notification"] = "notification"
    jsonrpc: Literal["2.0"] = "2.0"
    method: Literal["notification"] = "notification"
    params: McpToolCalled
    account_id: UUID

    def streams(self) -> list[str]:
        """Everybody of the account who has the channel."""
        return [mcp_account_stream(self.account_id)]


class McpToolCalled(Event):
    """Which tool, by whom (None: a service), and whether it did what was asked."""

    type: Literal["tool_called"] = "tool_called"
    tool: str
    user_id: UUID | None
    succeeded: bool


McpNotification.model_rebuild()
EVENTS: Final = (McpNotification,)
