"""What a platform needs and can do, as data: read by the api, the activities and the composing of messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.outbound import OutboundLimits


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One secret or setting that a platform needs, and where an administrator finds it.

    `made_up`: any value will do, and nobody but the platform's API is told it; one that is not given is made up.
    `transport`: only channels with this one need it.
    """

    name: str
    label: str
    where: str
    secret: bool = True
    required: bool = True
    made_up: bool = False
    transport: str | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a platform can do, as data: what it cannot do is said here, not by missing methods.

    `outbound`: what it carries besides text. `reply_window_s`: how long after a person's last message one may write to them
    freely; 0: always. `receipts_name_sends`: a receipt gives a send's nonce back, and so tells of one whose answer was lost.
    `typing_s`: how often "typing" must be shown again; 0: there is no such sign. `marks_read`: a person sees what was read.
    """

    label: str
    credentials: tuple[CredentialField, ...]
    text_limit: int
    text_unit: str
    webhook_max_bytes: int = 1 << 20
    nonce_window_s: int = 0
    can_look_up: bool = False
    can_edit: bool = False
    has_receipts: bool = False
    registers_webhook: bool = False
    outbound: OutboundLimits = field(default_factory=OutboundLimits)
    reply_window_s: int = 0
    receipts_name_sends: bool = False
    typing_s: float = 0.0
    marks_read: bool = False
