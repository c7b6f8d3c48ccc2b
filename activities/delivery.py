"""Sends the parts of an outbound message, one claim at a time, and writes down how each ended.

An attempt is never repeated blindly: a claim without a result is ambiguous and is resolved by the platform's nonce or
look-up where it has one, else it ends `unknown`, or is repeated if the channel's policy says so (ONCE-OUT). The
activity itself is tried once by Temporal; what comes next is decided by the workflow from the returned wait.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID, uuid4

import structlog
from temporalio import activity

from activities.attempts import LOOK_UP_FOR, Claimed, Wait, address, backoff_s, decide, lookup_request
from activities.channels import ChannelDesk
from activities.dispatch import Dispatcher
from activities.failpoints import Failpoints
from activities.heartbeat import heartbeating
from activities.limiter import SendLimiter, place_of
from activities.outcomes import Outcomes
from activities.placeholders import Placeholders, is_open, leftover
from adapters.base import (
    Absent,
    Accepted,
    ErrorClass,
    Found,
    Refused,
    RenderedPart,
    SendRequest,
    SendResult,
    Unknown,
)
from adapters.limits import Place, Scope, Verb
from db import claims, deliveries
from db.deliveries import Claims, PartRow
from db.session import Database
from domain.channel import AmbiguousPolicy
from domain.message import PartStatus
from domain.work import DeliverInput, DeliverResult

log = structlog.get_logger()
T = TypeVar("T")

GIVE_UP_AFTER: Final = timedelta(hours=27)


class ClaimExpiredError(Exception):
    """The claim ran out before the request was written: another worker may have the part by now."""


@dataclass
class DeliveryActivities:
    """Delivery of one message, for workflows/session.py and workflows/delivery.py."""

    db: Database
    channels: ChannelDesk
    limiter: SendLimiter
    dispatcher: Dispatcher
    failpoints: Failpoints
    claims: Claims = field(default_factory=Claims)
    outcomes: Outcomes = field(init=False)
    placeholders: Placeholders = field(init=False)

    def __post_init__(self) -> None:
        """Write outcomes where the claims are taken."""
        self.outcomes = Outcomes(self.db, self.channels, self.dispatcher)
        self.placeholders = Placeholders(self.db, self.channels)

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
        claim_id, deadline = uuid4(), time.monotonic() + self.claims.hold_s

        async def ask() -> Claimed | Wait | None:
            plain = await self._claim_plainly(request, claim_id, deadline)
            return plain or await self._next(request, claim_id, deadline)

        step = await self.outcomes.persist(ask)
        if isinstance(step, Claimed):
            self.failpoints.at("deliver.claimed")
        return step

    async def _claim_plainly(self, request: DeliverInput, claim_id: UUID, deadline: float) -> Claimed | None:
        if self.limiter.waits_here(UUID(request.ref.channel_id)):
            return None
        message = (UUID(request.message.message_id), request.message.generation)
        claimed = await deliveries.claim_plainly(
            self.db, UUID(request.ref.account_id), message, claim_id, self.claims.hold_s
        )
        if claimed is None:
            return None
        outgoing, last = claimed
        return Claimed(outgoing, outgoing.parts[0], claim_id, deadline, resolve=False, last=last)

    async def _next(self, request: DeliverInput, claim_id: UUID, deadline: float) -> Claimed | Wait | None:
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
                await deliveries.claim(conn, step.id, claim_id, self.claims.hold_s)
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
            return None
        if not isinstance(step, PartRow):
            return step if isinstance(step, Wait) else None
        resolve = step.status is PartStatus.ATTEMPTING
        return Claimed(message, step, claim_id, deadline, resolve=resolve, last=step is message.parts[-1])

    async def _send(self, request: DeliverInput, claimed: Claimed) -> Wait | bool:
        part, channel = claimed.part, claimed.message.channel
        adapter, context = self.channels.open(channel)
        to = address(claimed.message.reply_to)
        verb = Verb.EDIT if is_open(claimed.message, part) else Verb.SEND
        place = place_of(adapter.capabilities, context, channel.platform, to.chat, verb)
        wait_s = await self.limiter.take(place, f"{request.message.message_id}:{request.message.generation}")
        if wait_s > 0:
            return await self.outcomes.give_back(claimed, wait_s)

        def before_write() -> None:
            self.failpoints.at("deliver.before_write")
            if time.monotonic() >= claimed.deadline:
                raise ClaimExpiredError

        try:
            if is_open(claimed.message, part):
                result = await self.placeholders.replace(claimed.message, part, before_write)
            else:
                result = await adapter.send(
                    context,
                    SendRequest(
                        address=to,
                        part=RenderedPart(part.body, part.plain),
                        nonce=part.nonce,
                        before_write=before_write,
                        as_plain=part.as_plain,
                    ),
                )
        except ClaimExpiredError:
            log.warning("delivery.claim_expired", part_id=str(part.id))
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
            await self.outcomes.persist(lambda: self.channels.pause(channel, wait_s))
        return await self.outcomes.again(claimed, (result.code, result.message), wait_s, result.error_class)

    async def _record(self, request: DeliverInput, claimed: Claimed, result: SendResult) -> Wait | bool:
        if isinstance(result, Accepted):
            sent, error = result.platform_message_id, leftover(claimed.message, claimed.part)
            settled = await self.outcomes.settle(request, claimed, PartStatus.SENT, platform_id=sent, error=error)
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
        tried_since = part.first_attempt_at or claimed.message.at
        if result.error_class is ErrorClass.TRANSIENT and claimed.message.at - tried_since < GIVE_UP_AFTER:
            return await self.outcomes.again(claimed, error, backoff_s(part.attempts + 1), result.error_class)
        if result.error_class is ErrorClass.CHANNEL_BROKEN:
            await self.outcomes.persist(lambda: self.channels.broken(claimed.message.channel, result.message))
        return await self.outcomes.settle(request, claimed, PartStatus.DEAD, error=error)

    async def _unknown(self, request: DeliverInput, claimed: Claimed, result: Unknown) -> Wait | bool:
        error = ("unknown_outcome", result.reason)
        adapter, context = self.channels.open(claimed.message.channel)
        if not adapter.capabilities.can_look_up:
            return await self._without_lookup(request, claimed, error)
        looked = await adapter.lookup(context, lookup_request(claimed))
        if isinstance(looked, Found):
            return await self.outcomes.settle(request, claimed, PartStatus.SENT, platform_id=looked.platform_message_id)
        # It may still be on its way: ask again when this claim's deadline is certainly over.
        await self.outcomes.hold(claimed, error)
        return Wait(max(0.1, claimed.deadline - time.monotonic()) + self.claims.grace_s, "ambiguous")

    async def _resolve(self, request: DeliverInput, claimed: Claimed) -> Wait | bool:
        """Find out about an attempt that left no result: its worker died, or its answer was lost."""
        error = ("unknown_outcome", "The attempt was interrupted; the platform may or may not have delivered it")
        if is_open(claimed.message, claimed.part):
            # It was an edit, which may be repeated.
            await self.outcomes.again(claimed, error, 0.0, "ambiguous")
            return False
        adapter, context = self.channels.open(claimed.message.channel)
        if not adapter.capabilities.can_look_up:
            return await self._without_lookup(request, claimed, error)
        looked = await adapter.lookup(context, lookup_request(claimed))
        if isinstance(looked, Found):
            return await self.outcomes.settle(request, claimed, PartStatus.SENT, platform_id=looked.platform_message_id)
        if isinstance(looked, Absent):
            await self.outcomes.again(claimed, ("not_delivered", "The platform does not have it"), 0.0, "ambiguous")
            return False
        first = claimed.part.first_attempt_at or claimed.message.at
        if claimed.message.at - first > LOOK_UP_FOR:
            return await self.outcomes.settle(request, claimed, PartStatus.UNKNOWN, error=(error[0], looked.reason))
        return Wait(max(looked.retry_after_s or 0.0, self.claims.hold_s + self.claims.grace_s), "ambiguous")

    async def _without_lookup(self, request: DeliverInput, claimed: Claimed, error: tuple[str, str]) -> Wait | bool:
        adapter, _ = self.channels.open(claimed.message.channel)
        first = claimed.part.first_attempt_at or claimed.message.at
        within_nonce = claimed.message.at - first < timedelta(seconds=adapter.capabilities.nonce_window_s)
        policy = claimed.message.channel.configuration.get("ambiguous_policy")
        if within_nonce or policy == AmbiguousPolicy.AT_LEAST_ONCE:
            await self.outcomes.again(claimed, error, 0.0, "ambiguous")
            return False
        return await self.outcomes.settle(request, claimed, PartStatus.UNKNOWN, error=error)
