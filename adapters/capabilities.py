"""What a platform needs and can do, as data: read by the api, the activities and the composing of messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from adapters.limits import SendRule
from domain.outbound import OutboundLimits


class Preview(StrEnum):
    """How a platform can show a reply that is still being made.

    `edits`: a message that is edited until it is the reply. `drafts`: a passing sign beside the messages, which goes by
    itself; `SendRequest.as_draft`.
    """

    NONE = "none"
    EDITS = "edits"
    DRAFTS = "drafts"


def no_preview(_chat: str) -> Preview:
    """Say that a reply can be shown only when it is whole."""
    return Preview.NONE


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
    `bot_credentials`: the credentials that tell one bot from another. `send_rules`: how often it may speak; `edits_apart`:
    edits have limits of their own; `uploads_counted`: a file is a request of its own, which the same rules count. `preview`: how to
    show a reply that is being made, a chat at a time, every `preview_every_s` at most. `names_apart`: messages may come without
    their author's name, which is asked for (`profile`).
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
    bot_credentials: tuple[str, ...] = ("bot_token",)
    send_rules: tuple[SendRule, ...] = ()
    edits_apart: bool = False
    uploads_counted: bool = False
    preview: Callable[[str], Preview] = no_preview
    names_apart: bool = False
    preview_every_s: float = 1.1
