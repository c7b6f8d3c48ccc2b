"""What a platform told us becomes rows and is carried on, whichever way it came: by webhook (api/webhooks.py) or over a
socket that we hold (activities/connections.py). Verifying and parsing come before, and are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from activities.arrival_limit import ArrivalLimit
from activities.dispatch import Dispatcher
from activities.failpoints import Failpoints
from activities.notices import tell_waiting
from adapters.base import PlatformAdapter
from db import ingest
from db.channels import ChannelRow
from db.ingest import Ingested, NothingNewError, RawWebhook
from db.session import Database
from domain.message import InboundEvent


@dataclass
class Intake:
    """One per process."""

    db: Database
    dispatcher: Dispatcher
    limit: ArrivalLimit
    failpoints: Failpoints = field(default_factory=Failpoints)

    async def take(
        self, channel: ChannelRow, adapter: PlatformAdapter, raw: RawWebhook, events: Sequence[InboundEvent]
    ) -> int:
        """Store items in one transaction and carry them on; return how many were new.

        Raises UnavailableError; ChannelChangedError when `channel` is not as it is stored any more.
        """
        until = None
        if any(event.ignored is None and not event.late for event in events):
            until = await self.limit.place(channel.id, channel.rate_limit_per_minute)
        self.failpoints.at("intake.heard")
        try:
            ingested = await ingest.store(self.db, channel, raw, events, deferred_until=until)
        except NothingNewError:
            return 0
        finally:
            self.limit.tell()
        self.failpoints.at("intake.stored")
        self._carry(ingested)
        if until is not None:
            await tell_waiting(
                self.db, self.dispatcher, self.limit, adapter, aggregates=ingested.aggregates, trace_id=raw.trace_id
            )
        return ingested.fresh

    async def set_aside(self, channel: ChannelRow, raw: RawWebhook, reason: str) -> int:
        """Keep what cannot be read, with its reason. Raises UnavailableError."""
        async with self.db.account(channel.account_id) as conn:
            ingested = await ingest.quarantine(conn, channel, raw, reason)
        self._carry(ingested)
        return ingested.fresh

    def _carry(self, ingested: Ingested) -> None:
        for aggregate in ingested.aggregates:
            self.dispatcher.notify(aggregate)
