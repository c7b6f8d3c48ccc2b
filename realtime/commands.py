"""What a channel may ask of the rest of the system; the hub itself orchestrates nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from realtime.identity import Identity

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Order(Generic[R_co]):
    """Base of what people at a socket can have done, a frozen dataclass each; the type argument is the answer's."""


class Commands(Protocol):
    """Carries out orders; api/orders.py says what each does."""

    async def run(self, identity: Identity, order: Order[R]) -> R:
        """Carry out an order for this person. Raises domain errors, whose message the caller is shown."""
        ...


@dataclass(frozen=True, slots=True)
class SendMessage(Order[None]):
    """Store a person's message in an AI conversation and queue what follows. Idempotent by `client_id` if given."""

    conversation_id: UUID
    content: str
    client_id: str | None = None
