"""The polite word to a person whose messages wait because the channel is over its rate: once a minute at most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from activities.arrival_limit import ArrivalLimit
from activities.dispatch import Dispatcher
from adapters.base import PlatformAdapter
from db import outbound
from db.outbox import Aggregate
from db.outgoing import Outgoing, Part
from db.session import Database
from domain.errors import UnavailableError

log = structlog.get_logger()
NOTICE: Final = "I am receiving many messages just now. Yours is safe, and I will answer it in a moment."


async def tell_waiting(
    db: Database,
    dispatcher: Dispatcher,
    limit: ArrivalLimit,
    adapter: PlatformAdapter,
    *,
    aggregates: Sequence[Aggregate],
    trace_id: str,
) -> None:
    """Store the notice for each session that was not told lately. Best effort: the messages themselves are safe."""
    for aggregate in aggregates:
        if not await limit.may_notify(aggregate.name):
            continue
        parts = [Part(part.body, part.plain) for part in adapter.render(NOTICE)]
        session_id = UUID(aggregate.name.partition(":")[2])
        try:
            async with db.account(aggregate.account_id) as conn:
                await outbound.owner_of(conn, session_id)
                out = Outgoing(session_id, NOTICE, parts, trace_id, signal=True)
                _, written = await outbound.record(conn, aggregate.account_id, out)
        except UnavailableError:
            log.warning("notice.not_stored", aggregate=aggregate.name)
            continue
        dispatcher.notify(written)
