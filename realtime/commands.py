"""What a channel may ask of the rest of the system; api/app.py wires it. The hub itself orchestrates nothing."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from realtime.identity import Identity


class Commands(Protocol):
    """Commands of people at a socket. Each raises domain errors, whose message the caller is shown."""

    async def send_message(
        self, identity: Identity, conversation_id: UUID, content: str, client_id: str | None = None
    ) -> None:
        """Store a person's message in an AI conversation and queue what follows. Idempotent by `client_id` if given."""
        ...
