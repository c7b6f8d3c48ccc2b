"""Writes down how an attempt to send a part ended, until Postgres has it. Called by activities/delivery.py, which decides."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from activities.attempts import Claimed, Wait
from activities.channels import ChannelDesk
from activities.dispatch import MOMENT_S, Dispatcher
from activities.persistence import until_stored
from adapters.base import ErrorClass
from db import claims, deliveries
from db.outbox import session_aggregate
from db.part_rows import Change
from db.session import Database
from domain.message import PartStatus
from domain.outbound import Payload
from domain.work import DeliverInput


@dataclass
class Outcomes:
    """One per process. Every result is written only while the claim is still the caller's (fencing)."""

    db: Database
    channels: ChannelDesk
    dispatcher: Dispatcher

    async def give_back(self, claimed: Claimed, wait_s: float) -> Wait:
        """Undo a claim under which nothing was asked of the platform: it is not our turn yet."""

        async def write() -> None:
            async with self.db.account(claimed.message.channel.account_id) as conn:
                await claims.give_back(conn, claimed.part.id, claimed.claim_id, wait_s)

        await until_stored(write)
        return Wait(wait_s, ErrorClass.RATE_LIMITED)

    async def hold(self, claimed: Claimed, error: tuple[str, str]) -> None:
        """Note why there is no result yet; the part stays claimed."""

        async def write() -> None:
            async with self.db.account(claimed.message.channel.account_id) as conn:
                await claims.hold(conn, claimed.part.id, claimed.claim_id, error)

        await until_stored(write)

    async def again(
        self,
        claimed: Claimed,
        error: tuple[str, str],
        wait_s: float,
        error_class: str,
        *,
        as_plain: bool = False,
        payload: Payload | None = None,
    ) -> Wait:
        """Give the part back, to be tried again after `wait_s`, as it is or changed."""
        change = Change(wait_s, as_plain, payload)

        async def write() -> None:
            async with self.db.account(claimed.message.channel.account_id) as conn:
                await claims.requeue(conn, claimed.part.id, claimed.claim_id, error, change)

        await until_stored(write)
        return Wait(wait_s, error_class)

    async def settle(
        self,
        request: DeliverInput,
        claimed: Claimed,
        status: PartStatus,
        *,
        platform_id: str | None = None,
        error: tuple[str, str] | None = None,
    ) -> bool:
        """Write how the part ended. True: no more is to be done for it."""
        adapter, _ = self.channels.open(claimed.message.channel)
        outcome = deliveries.Outcome(claimed.part.id, status, claimed.claim_id, platform_id, error)

        async def write() -> None:
            account_id, session_id = UUID(request.ref.account_id), UUID(request.ref.session_id)
            if await deliveries.settle_plainly(self.db, account_id, outcome):
                self.dispatcher.notify_within(session_aggregate(account_id, session_id), MOMENT_S)
                return
            async with self.db.account(account_id) as conn:
                aggregate = await deliveries.settle(
                    conn,
                    claimed.message.channel,
                    session_id,
                    UUID(request.message.message_id),
                    outcome,
                    has_receipts=adapter.capabilities.has_receipts,
                )
            if aggregate is not None:
                self.dispatcher.notify_within(aggregate, MOMENT_S)

        await until_stored(write)
        return True
