"""What to do next for a message that is being delivered: which part to claim, how long to wait, or why to give up.

Pure decisions over rows that were read under the session's lock; activities/delivery.py acts on them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from adapters.base import Capabilities, ErrorClass, LookupRequest
from db.part_rows import Claims, Outgoing, PartRow
from domain.message import PartStatus, ReplyAddress

AMBIGUOUS: Final = "ambiguous"
BACKOFF_CAP_S: Final = 600.0
FIRST_RECEIPT_S: Final = 1.0
"""How long the first look for a receipt waits."""
LOOK_UP_FOR: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A part that is ours to send, or to find out about (`resolve`), until `deadline` on our monotonic clock.

    `last`: no part of the message comes after it. `kept`: what its upload was called at the platform, once there was one.
    """

    message: Outgoing
    part: PartRow
    claim_id: UUID
    deadline: float
    resolve: bool
    last: bool
    kept: list[str] = field(default_factory=list[str])


# What a step returns: a wait, True when the part has ended, False when it is to be looked at again at once.


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `seconds` have passed."""

    seconds: float
    error_class: str


def backoff_s(attempts: int) -> float:
    """Return the wait after the n-th transient refusal: 1 s, doubling to 10 min, with jitter."""
    return min(BACKOFF_CAP_S, 2.0 ** min(attempts - 1, 16)) * random.uniform(0.8, 1.2)


def address(reply_to: dict[str, str | None]) -> ReplyAddress:
    """Return where a stored reply goes."""
    return ReplyAddress(str(reply_to["chat"]), reply_to.get("thread"), reply_to.get("message"))


def lookup_request(claimed: Claimed) -> LookupRequest:
    """Return what to ask the platform about a part whose fate is not known."""
    since = claimed.part.first_attempt_at or claimed.message.at
    upload_ref = claimed.kept[-1] if claimed.kept else claimed.part.upload_ref
    return LookupRequest(address(claimed.message.reply_to), claimed.part.nonce, since, upload_ref)


def paced(wait: Wait, message: Outgoing, can: Capabilities) -> Wait:
    """Return a wait, shortened where a receipt may end an ambiguous attempt at any moment: as long again as already waited."""
    if wait.error_class != AMBIGUOUS or not can.receipts_name_sends:
        return wait
    begun = [part.first_attempt_at for part in message.parts if part.status is PartStatus.ATTEMPTING]
    waited_s = (message.at - begun[0]).total_seconds() if begun and begun[0] else 0.0
    return Wait(min(wait.seconds, max(FIRST_RECEIPT_S, waited_s)), wait.error_class)


def decide(message: Outgoing, paused_s: float, claims: Claims) -> PartRow | Wait | tuple[str, str] | None:
    """Choose the next part to claim, or the wait, or the error that ends the rest; None when all is settled."""
    for part in message.parts:
        if part.status is PartStatus.ATTEMPTING:
            due = claims.ambiguous_at(part)
            left = 0.0 if due is None else (due - message.at).total_seconds()
            return Wait(left, AMBIGUOUS) if left > 0 else part
        if part.status is PartStatus.QUEUED:
            return _decide_queued(message, part, paused_s)
    return None


def _decide_queued(message: Outgoing, part: PartRow, paused_s: float) -> PartRow | Wait | tuple[str, str]:
    if message.barred is not None:
        return (message.barred, "A human answers this session" if message.barred == "taken_over" else "Blocked")
    if any(earlier.status is PartStatus.DEAD for earlier in message.parts):
        return ("earlier_part_failed", "An earlier part of this message could not be delivered")
    until = message.channel.send_paused_until
    paused_s = max(paused_s, (until - message.at).total_seconds() if until else 0.0)
    if paused_s > 0:
        return Wait(paused_s, ErrorClass.RATE_LIMITED)
    left = (part.next_attempt_at - message.at).total_seconds() if part.next_attempt_at else 0.0
    return Wait(left, ErrorClass.TRANSIENT) if left > 0 else part
