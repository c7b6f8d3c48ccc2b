"""Circuit breakers: counted calls and changes of state, each with its events in one transaction.

What opens and closes a breaker, and when, is decided by who calls a service; here it is kept and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.loop_shelves import BREAKERS
from db.outbox import Aggregate
from db.tables import circuit_breakers
from db.watched import Told, tell
from domain.errors import ConflictError
from domain.events.loops import BreakerPayload, CircuitBreakerChanged
from domain.loop_views import CircuitBreakerView
from domain.runs import BreakerState


class Happening(StrEnum):
    """What happens to a breaker: a call that failed or succeeded, a change of state, or a person's reset."""

    FAILURE = "failure"
    SUCCESS = "success"
    OPENED = "opened"
    CLOSED = "closed"
    HALF_OPENED = "half_opened"
    RESET = "reset"


_LEADS_TO: Final[Mapping[Happening, BreakerState]] = {
    Happening.OPENED: BreakerState.OPEN,
    Happening.CLOSED: BreakerState.CLOSED,
    Happening.HALF_OPENED: BreakerState.HALF_OPEN,
    Happening.RESET: BreakerState.CLOSED,
}


@dataclass(frozen=True, slots=True)
class NewBreaker:
    """A breaker to be made. `service`: letters, digits, `_`, `.` and `-`, up to 100."""

    name: str
    service: str
    failure_threshold: int = 5
    timeout_seconds: int = 60


def aggregate_of(account_id: UUID, breaker_id: UUID) -> Aggregate:
    """Return a breaker's aggregate; its version is `circuit_breakers.version`."""
    return Aggregate(account_id, f"circuit_breaker:{breaker_id}")


async def create(conn: AsyncConnection, account_id: UUID, new: NewBreaker) -> Told[CircuitBreakerView]:
    """Store a closed breaker. Raises ConflictError when the service has one of that name."""
    breaker_id = uuid4()
    made = (
        insert(circuit_breakers)
        .values(
            id=breaker_id,
            account_id=account_id,
            name=new.name,
            service=new.service,
            failure_threshold=new.failure_threshold,
            timeout_seconds=new.timeout_seconds,
        )
        .on_conflict_do_nothing(index_elements=["account_id", "service", "name"])
        .returning(circuit_breakers.c.id)
    )
    if (await conn.execute(made)).scalar_one_or_none() is None:
        raise ConflictError(f"{new.service} has a circuit breaker {new.name} already")
    return await _tell(conn, account_id, breaker_id, ["circuit_breaker.state_changed"])


async def record(
    conn: AsyncConnection, account_id: UUID, breaker_id: UUID, happening: Happening
) -> Told[CircuitBreakerView]:
    """Keep and tell what happened. Raises NotFoundError.

    A change to the state that it has changes nothing; calls are counted each time.
    """
    before = await BREAKERS.lock(conn, breaker_id)
    state = _LEADS_TO.get(happening)
    if state is not None and happening is not Happening.RESET and before["state"] == state:
        return Told((await BREAKERS.now(conn, breaker_id))[0], ())
    await BREAKERS.change(conn, breaker_id, _values(happening, before["timeout_seconds"]))
    names = [f"circuit_breaker.{happening.value}"]
    if state is not None and before["state"] != state:
        names.insert(0, "circuit_breaker.state_changed")
    return await _tell(conn, account_id, breaker_id, names)


def _values(happening: Happening, timeout_seconds: int) -> dict[str, Any]:
    table = circuit_breakers.c
    if happening is Happening.FAILURE:
        return {"failure_count": table.failure_count + 1, "last_failure_at": func.now()}
    if happening is Happening.SUCCESS:
        return {"success_count": table.success_count + 1, "last_success_at": func.now()}
    if happening is Happening.OPENED:
        until = func.now() + timedelta(seconds=timeout_seconds)
        return {"state": BreakerState.OPEN.value, "opened_at": func.now(), "next_attempt_at": until, "success_count": 0}
    if happening is Happening.HALF_OPENED:
        return {"state": BreakerState.HALF_OPEN.value, "success_count": 0}
    closed = {"failure_count": 0, "success_count": 0, "opened_at": None, "next_attempt_at": None}
    return {"state": BreakerState.CLOSED.value, **closed}


async def _tell(
    conn: AsyncConnection, account_id: UUID, breaker_id: UUID, names: list[Any]
) -> Told[CircuitBreakerView]:
    view, at = await BREAKERS.now(conn, breaker_id)
    payload = BreakerPayload(breaker=view)
    events = [
        CircuitBreakerChanged(
            account_id=account_id, timestamp=at, event=name, resource_id=str(view.id), payload=payload
        )
        for name in names
    ]
    return Told(view, (await tell(conn, aggregate_of(account_id, breaker_id), view.version, events),))
