"""Sends the parts of an outbound message, one claim at a time, and writes down how each ended.

An attempt is never repeated blindly: a claim without a result is ambiguous and is resolved by the platform's nonce or
look-up where it has one, else it ends `unknown`, or is repeated if the channel's policy says so (ONCE-OUT). The
activity itself is tried once by Temporal; what comes next is decided by the workflow from the returned wait.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog
from temporalio import activity

from activities.attempts import (
    AMBIGUOUS,
    FIRST_RECEIPT_S,
    LOOK_UP_FOR,
    Claimed,
    Wait,
    backoff_s,
    decide,
    lookup_request,
    paced,
)
from activities.channels import ChannelDesk
from activities.dispatch import Dispatcher
from activities.failpoints import Failpoints
from activities.files import FileStore
from activities.heartbeat import heartbeating
from activities.limiter import SendLimiter
from activities.outcomes import Outcomes
from activities.parts import WINDOW_CLOSED, ClaimExpiredError, PartSender, instead_note, window_template
from activities.persistence import until_stored
from activities.placeholders import Placeholders, is_open, leftover
from adapters.base import Absent, Accepted, CannotTell, ErrorClass, Found, Refused, SendResult, Unknown
from adapters.limits import Place, Scope
from db import claims, deliveries
from db.part_rows import Claims, PartRow
from db.session import Database
from domain.channel import AmbiguousPolicy
from domain.message import PartStatus
from domain.work import DeliverInput, DeliverResult

log = structlog.get_logger()

GIVE_UP_AFTER: Final = timedelta(hours=27)


@dataclass
class DeliveryActivities:
    """Delivery of one message, for workflows/session.py and workflows/delivery.py."""

    db: Database
    channels: ChannelDesk
    limiter: SendLimiter
    dispatcher: Dispatcher
    failpoints: Failpoints
    claims: Claims = field(default_factory=Claims)
    files: FileStore | None = None
    outcomes: Outcomes = field(init=False)
    placeholders: Placeholders = field(init=False)

    def __post_init__(self) -> None:
        """Write outcomes where the claims are taken."""
        self.outcomes = Outcomes(self.db, self.channels, self.dispatcher)
        self.placeholders = Placeholders(self.db, self.channels)
        self._sender = PartSender(self.db, self.channels, self.claims, self.placeholders, self.files)

    @activity.defn
    async def deliver(self, request: DeliverInput) -> DeliverResult:
        """Send what is open of a message, in order, until it is settled or something makes us wait.

        Idempotent by claims. Timeout/retry: heartbeat 5 s, 120 s, never retried by Temporal (ruling 1).
        """
        sent = 0
        async with heartbeating():
            while True:
                step = await self._claim(request)
                if step is None:
                    return DeliverResult(settled=True, sent=sent)
                if isinstance(step, Wait):
                    return DeliverResult(False, wait_s=step.seconds, error_class=step.error_class, sent=sent)
                ended = await (self._resolve(request, step) if step.resolve else self._send(request, step))
                if isinstance(ended, Wait):
                    return DeliverResult(False, wait_s=ended.seconds, error_class=ended.error_class, sent=sent)
                if ended and step.last:
                    return DeliverResult(settled=True, sent=sent + 1)
                sent += int(ended)

    async def _claim(self, request: DeliverInput) -> Claimed | Wait | None:
        """Claim the next part; a wait when there is none to be had now; None when the message is settled."""
        # Armed before the claim: our own clock is never later than the row's. One id, however often we have to ask.
        claim_id, began = uuid4(), time.monotonic()

        async def ask() -> Claimed | Wait | None:
            plain = await self._claim_plainly(request, claim_id, began)
            return plain or await self._next(request, claim_id, began)

        step = await until_stored(ask)
        if isinstance(step, Claimed):
            self.failpoints.at("deliver.claimed")
        return step

    async def _claim_plainly(self, request: DeliverInput, claim_id: UUID, began: float) -> Claimed | None:
        if self.limiter.waits_here(UUID(request.ref.channel_id)):
            return None
        message = (UUID(request.message.message_id), request.message.generation)
        claimed = await deliveries.claim_plainly(self.db, UUID(request.ref.account_id), message, claim_id, self.claims)
        if claimed is None:
            return None
        outgoing, last = claimed
        deadline = began + self.claims.hold_of(outgoing.parts[0])
        return Claimed(outgoing, outgoing.parts[0], claim_id, deadline, resolve=False, last=last)

    async def _next(self, request: DeliverInput, claim_id: UUID, began: float) -> Claimed | Wait | None:
        account_id = UUID(request.ref.account_id)
        paused = self.limiter.wait_s(UUID(request.ref.channel_id))
        aggregate = None
        async with self.db.account(account_id) as conn:
            message = await deliveries.load(conn, UUID(request.message.message_id), request.message.generation)
            if message is None:
                return None
            step = decide(message, paused, self.claims)
            if isinstance(step, tuple):
                message_id = UUID(request.message.message_id)
                await claims.kill_rest(conn, message_id, request.message.generation, step)
                aggregate = await deliveries.publish(conn, account_id, UUID(request.ref.session_id), message_id)
            elif isinstance(step, PartRow):
                await deliveries.claim(conn, step.id, claim_id, self.claims.hold_of(step))
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
            return None
        if not isinstance(step, PartRow):
            adapter, _ = self.channels.open(message.channel)
            return paced(step, message, adapter.capabilities) if isinstance(step, Wait) else None
        resolve, deadline = step.status is PartStatus.ATTEMPTING, began + self.claims.hold_of(step)
        return Claimed(message, step, claim_id, deadline, resolve=resolve, last=step is message.parts[-1])

    async def _send(self, request: DeliverInput, claimed: Claimed) -> Wait | bool:
        place = self._sender.place(claimed)
        wait_s = await self.limiter.take(place, f"{request.message.message_id}:{request.message.generation}")
        if wait_s > 0:
            return await self.outcomes.give_back(claimed, wait_s)

        def before_write() -> None:
            self.failpoints.at("deliver.before_write")
            if time.monotonic() >= claimed.deadline:
                raise ClaimExpiredError

        try:
            result = await self._sender.send(claimed, before_write)
        except ClaimExpiredError:
            log.warning("delivery.claim_expired", part_id=str(claimed.part.id))
            error = ("claim_expired", "The worker was held up; not sent in this attempt")
            return await self.outcomes.again(claimed, error, 0.0, "claim_expired")
        self.failpoints.at("deliver.sent")
        if isinstance(result, Refused) and result.error_class is ErrorClass.RATE_LIMITED:
            return await self._rate_limited(claimed, place, result)
        if isinstance(result, Accepted) and result.pause_s > 0:
            await self.limiter.pause(place, result.pause_s, Scope.CHAT, verb=place.verb)
        return await self._record(request, claimed, result)

    async def _rate_limited(self, claimed: Claimed, place: Place, result: Refused) -> Wait:
        """Keep the wait for those whom it concerns: a whole bot's on the channel's row as well."""
        channel = claimed.message.channel
        wait_s = result.retry_after_s or backoff_s(claimed.part.attempts + 1)
        if await self.limiter.refused(channel.id, place, wait_s, result.scope):
            await until_stored(lambda: self.channels.pause(channel, wait_s))
        return await self.outcomes.again(claimed, (result.code, result.message), wait_s, result.error_class)

    async def _record(self, request: DeliverInput, claimed: Claimed, result: SendResult) -> Wait | bool:
        if isinstance(result, Accepted):
            sent = result.platform_message_id
            note = leftover(claimed.message, claimed.part) or instead_note(claimed.part)
            settled = await self.outcomes.settle(request, claimed, PartStatus.SENT, platform_id=sent, error=note)
            if is_open(claimed.message, claimed.part):
                await self.placeholders.became(claimed.message)
            return settled
        if isinstance(result, Refused):
            return await self._refused(request, claimed, result)
        return await self._unknown(request, claimed, result)

    async def _refused(self, request: DeliverInput, claimed: Claimed, result: Refused) -> Wait | bool:
        error = (result.code, result.message)
        part = claimed.part
        if result.error_class is ErrorClass.BAD_MARKUP and not part.as_plain:
            await self.outcomes.again(claimed, error, 0.0, result.error_class, as_plain=True)
            return False
        if result.error_class is ErrorClass.GONE:
            await self.outcomes.again(claimed, error, 0.0, result.error_class)
            return False
        if result.error_class is ErrorClass.WINDOW_CLOSED:
            return await self._outside_window(request, claimed, result)
        tried_since = part.first_attempt_at or claimed.message.at
        if result.error_class is ErrorClass.TRANSIENT and claimed.message.at - tried_since < GIVE_UP_AFTER:
            return await self.outcomes.again(claimed, error, backoff_s(part.attempts + 1), result.error_class)
        if result.error_class is ErrorClass.CHANNEL_BROKEN:
            await until_stored(lambda: self.channels.broken(claimed.message.channel, result.message))
        return await self.outcomes.settle(request, claimed, PartStatus.DEAD, error=error)

    async def _outside_window(self, request: DeliverInput, claimed: Claimed, result: Refused) -> Wait | bool:
        """Go on with the channel's template in the part's place; without one it is dead, with words for what to do."""
        error = (WINDOW_CLOSED, result.message)
        template = window_template(claimed.message.channel.configuration, claimed.part)
        if template is None:
            return await self.outcomes.settle(request, claimed, PartStatus.DEAD, error=error)
        await self.outcomes.again(claimed, error, 0.0, result.error_class, payload=template)
        return False

    async def _unknown(self, request: DeliverInput, claimed: Claimed, result: Unknown) -> Wait | bool:
        error = ("unknown_outcome", result.reason)
        looked = await self._look_up(request, claimed, error)
        if isinstance(looked, Wait | bool):
            return looked
        # It may still be on its way: ask again when this claim's deadline is certainly over.
        await self.outcomes.hold(claimed, error)
        return Wait(max(0.1, claimed.deadline - time.monotonic()) + self.claims.grace_s, AMBIGUOUS)

    async def _resolve(self, request: DeliverInput, claimed: Claimed) -> Wait | bool:
        """Find out about an attempt that left no result: its worker died, or its answer was lost."""
        error = ("unknown_outcome", "The attempt was interrupted; the platform may or may not have delivered it")
        if is_open(claimed.message, claimed.part):
            # It was an edit, which may be repeated; the part itself goes when the placeholder is out of the way.
            await self.outcomes.again(claimed, error, 0.0, AMBIGUOUS)
            return False
        looked = await self._look_up(request, claimed, error)
        if isinstance(looked, Wait | bool):
            return looked
        if isinstance(looked, Absent):
            await self.outcomes.again(claimed, ("not_delivered", "The platform does not have it"), 0.0, AMBIGUOUS)
            return False
        first = claimed.part.first_attempt_at or claimed.message.at
        if claimed.message.at - first > LOOK_UP_FOR:
            return await self.outcomes.settle(request, claimed, PartStatus.UNKNOWN, error=(error[0], looked.reason))
        return Wait(max(looked.retry_after_s or 0.0, self.claims.hold_s + self.claims.grace_s), AMBIGUOUS)

    async def _look_up(
        self, request: DeliverInput, claimed: Claimed, error: tuple[str, str]
    ) -> Absent | CannotTell | Wait | bool:
        adapter, context = self.channels.open(claimed.message.channel)
        if not adapter.capabilities.can_look_up:
            return await self._without_lookup(request, claimed, error)
        looked = await adapter.lookup(context, lookup_request(claimed))
        if isinstance(looked, Found):
            return await self.outcomes.settle(request, claimed, PartStatus.SENT, platform_id=looked.platform_message_id)
        return looked

    async def _without_lookup(self, request: DeliverInput, claimed: Claimed, error: tuple[str, str]) -> Wait | bool:
        adapter, _ = self.channels.open(claimed.message.channel)
        first = claimed.part.first_attempt_at or claimed.message.at
        waits_s = self.claims.receipt_wait_s if adapter.capabilities.receipts_name_sends else 0.0
        if claimed.message.at - first < timedelta(seconds=waits_s):
            # A receipt will name the send if it arrived, and end the part by itself.
            await self.outcomes.hold(claimed, error)
            return Wait(FIRST_RECEIPT_S, AMBIGUOUS)
        within_nonce = claimed.message.at - first < timedelta(seconds=adapter.capabilities.nonce_window_s)
        policy = claimed.message.channel.configuration.get("ambiguous_policy")
        if within_nonce or policy == AmbiguousPolicy.AT_LEAST_ONCE:
            await self.outcomes.again(claimed, error, 0.0, AMBIGUOUS)
            return False
        return await self.outcomes.settle(request, claimed, PartStatus.UNKNOWN, error=error)
