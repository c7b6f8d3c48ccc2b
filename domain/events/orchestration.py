"""What all orchestration events share: the envelope `{event, resource_type, resource_id, payload, timestamp}` and streams.

`account_id` says where an event goes and is no part of it.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import Field

from domain.events.base import Event

ALL: Final = "all"
"""In place of a breaker's id: all of an account's."""


def orchestration_stream(kind: str, key: UUID | str) -> str:
    """Return the stream of one thing."""
    return f"ai_orchestration:{kind}:{key}"


def account_stream(account_id: UUID) -> str:
    """Return the stream of all that happens in an account."""
    return orchestration_stream("account", account_id)


def monitoring_stream(account_id: UUID) -> str:
    """Return the stream of an account's dashboard and alerts."""
    return orchestration_stream("monitoring", account_id)


def all_breakers_stream(account_id: UUID) -> str:
    """Return the stream of all circuit breakers of an account. `all` alone would be one stream for everybody."""
    return orchestration_stream("circuit_breaker", f"{ALL}:{account_id}")


def service_stream(account_id: UUID, service: str) -> str:
    """Return the stream of the breakers that guard a service for an account: services have the same names everywhere."""
    return orchestration_stream("circuit_breaker_service", f"{account_id}:{service}")


class AccountEvent(Event):
    """Base of events that belong to an account."""

    account_id: UUID = Field(exclude=True)


class OrchestrationEvent(AccountEvent):
    """Base of the enveloped events; each says its `event`, its `resource_type` and its `payload`."""

    resource_id: str
