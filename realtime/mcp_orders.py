"""What McpChannel has done: an answer to a JSON-RPC message, and the greeting. api/mcp/cable.py carries them out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from realtime.commands import Order


@dataclass(frozen=True, slots=True)
class McpMessage(Order[dict[str, object] | None]):
    """Answer a JSON-RPC message; None for a notification, which has no answer. Never raises for what a client said.

    `follow` and `unfollow` are the subscription's (realtime.channel.Caller).
    """

    message: Mapping[str, object]
    follow: Callable[[str, bytes], Awaitable[None]]
    unfollow: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class McpGreeting(Order[dict[str, object]]):
    """Say what the server can do and which tools this person has."""
