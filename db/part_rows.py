"""Parts of outbound messages as they stand, how long a claim on one holds, and how one is changed for its next try.

Shapes alone; claims are taken in deliveries.py, and what becomes of them is written by claims.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from db.channels import ChannelRow
from db.previews import PreviewRow
from domain.message import PartStatus
from domain.outbound import FilePart, Payload


@dataclass(frozen=True, slots=True)
class Claims:
    """How long a claim holds, in seconds. The worker's own monotonic deadline, armed before the claim, is never later."""

    hold_s: float = 20.0

    @property
    def file_hold_s(self) -> float:
        """How long a claim on a file holds: its bytes leave before the message itself does."""
        return self.hold_s * 5

    def hold_of(self, part: PartRow) -> float:
        """Return how long a claim on this part holds."""
        return self.file_hold_s if isinstance(part.payload, FilePart) else self.hold_s

    @property
    def receipt_wait_s(self) -> float:
        """How long a receipt that names the send may take to tell what became of it."""
        return self.hold_s * 3

    @property
    def grace_s(self) -> float:
        """How long after its deadline a claim without a result is taken to be ambiguous."""
        return self.hold_s / 4

    def ambiguous_at(self, part: PartRow) -> datetime | None:
        """Return when a claimed part without a result becomes ambiguous."""
        return None if part.deadline_at is None else part.deadline_at + timedelta(seconds=self.grace_s)


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part as it stands."""

    id: UUID
    part_no: int
    status: PartStatus
    body: str
    plain: str
    as_plain: bool
    nonce: str
    attempts: int
    claim_id: UUID | None
    deadline_at: datetime | None
    first_attempt_at: datetime | None
    next_attempt_at: datetime | None
    payload: Payload | None = None
    upload_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message with its parts, its channel and where it goes, read under the session's lock at `at`.

    `last_inbound_at`: when the person last wrote, by the platform's own clock. `preview`: the placeholder that shows it already.
    """

    parts: tuple[PartRow, ...]
    channel: ChannelRow
    reply_to: dict[str, str | None]
    at: datetime
    barred: str | None
    session_key: str = ""
    last_inbound_at: datetime | None = None
    preview: PreviewRow | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """How a part is tried again: after a wait in seconds, as plain text, or with another payload in its place."""

    wait_s: float = 0.0
    as_plain: bool = False
    payload: Payload | None = None
