"""A channel's socket as work: what crosses Temporal about it, and how it stands. Ids only, like domain/work.py.

Annotations are evaluated here, as there.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CONNECTION_WORKFLOW: Final = "ChannelConnectionWorkflow"

CONNECTION_WANTED: Final = "connection_wanted"
"""Signal: see that the connection is held. One that is held stays as it is."""
CONNECTION_CHANGED: Final = "connection_changed"
"""Signal: the channel's status, credentials or settings changed; begin anew with them, or end."""


def connection_workflow_id(channel_id: str) -> str:
    """Return the id of the workflow that holds a channel's socket: one per channel."""
    return f"connection:{channel_id}"


class ConnectionState(StrEnum):
    """How a channel's socket stands. `lost`: it broke and is being made again; `refused`: for good, as it is now."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True)
class ChannelRef:
    """Whose socket it is."""

    account_id: str
    channel_id: str
    platform: str

    def attributes(self) -> dict[str, str]:
        """Return the search attributes. Shape: attribute -> value."""
        return {"AccountId": self.account_id, "ChannelId": self.channel_id, "Platform": self.platform}


@dataclass(frozen=True)
class ConnectionPlan:
    """`wanted`: whether there is to be a connection at all; `queue`: the task queue of those that hold one."""

    wanted: bool
    queue: str


@dataclass(frozen=True)
class ConnectionEnd:
    """Why a connection is held no more. `refused`: the platform's words; they need a change of the channel."""

    refused: str
