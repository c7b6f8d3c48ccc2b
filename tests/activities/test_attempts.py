"""What a delivery does next with the parts of a message, decided over rows as they stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from activities.attempts import Wait, decide
from adapters.base import ErrorClass
from db.channels import ChannelRow
from db.part_rows import Claims, Outgoing, PartRow
from domain.message import PartStatus

NOW = datetime.now(UTC)
CLAIMS = Claims(hold_s=20)


def part(number: int = 1, status: PartStatus = PartStatus.QUEUED) -> PartRow:
    return PartRow(uuid4(), number, status, "b", "p", False, "n", 0, None, None, None, None)


def message(*parts: PartRow, barred: str | None = None) -> Outgoing:
    channel = ChannelRow(uuid4(), uuid4(), "any", "n", "connected", "t", 60, {}, b"", {}, None, None, 1)
    return Outgoing(parts, channel, {"chat": "1"}, NOW, barred)


class TestDecide:
    def test_parts_go_one_after_the_other(self) -> None:
        first, second = part(1, PartStatus.SENT), part(2)
        assert decide(message(first, second), 0, CLAIMS) is second
        assert decide(message(first, replace(second, status=PartStatus.UNKNOWN)), 0, CLAIMS) is None

    def test_a_wait_that_the_platform_asked_for_is_kept(self) -> None:
        assert decide(message(part()), 7.5, CLAIMS) == Wait(7.5, ErrorClass.RATE_LIMITED)
        paused = message(part())
        paused = replace(paused, channel=replace(paused.channel, send_paused_until=NOW + timedelta(seconds=9)))
        assert decide(paused, 7.5, CLAIMS) == Wait(9, ErrorClass.RATE_LIMITED)

    def test_a_refused_part_waits_for_its_next_attempt(self) -> None:
        waiting = replace(part(), next_attempt_at=NOW + timedelta(seconds=3))
        assert decide(message(waiting), 0, CLAIMS) == Wait(3, ErrorClass.TRANSIENT)

    def test_nothing_is_claimed_after_a_human_took_over_or_a_block(self) -> None:
        assert decide(message(part(), barred="taken_over"), 0, CLAIMS) == ("taken_over", "A human answers this session")
        assert decide(message(part(), barred="blocked"), 0, CLAIMS) == ("blocked", "Blocked")

    def test_the_rest_ends_with_a_part_that_was_refused(self) -> None:
        decision = decide(message(part(1, PartStatus.DEAD), part(2)), 0, CLAIMS)
        assert isinstance(decision, tuple)
        assert decision[0] == "earlier_part_failed"

    def test_anothers_claim_is_left_alone_until_deadline_and_grace_are_over(self) -> None:
        held = replace(part(1, PartStatus.ATTEMPTING), claim_id=uuid4(), deadline_at=NOW + timedelta(seconds=2))
        assert decide(message(held), 0, CLAIMS) == Wait(7, "ambiguous")
        old = replace(held, deadline_at=NOW - timedelta(seconds=6))
        assert decide(message(old), 0, CLAIMS) is old
