"""Statuses of messages and parts."""

from __future__ import annotations

from itertools import permutations

from domain.message import DeliveryStatus, PartStatus, message_status, part_may_become


class TestMessageStatus:
    def test_of_no_parts_is_pending(self) -> None:
        assert message_status([]) is DeliveryStatus.PENDING

    def test_one_dead_part_fails_the_message(self) -> None:
        assert message_status([PartStatus.SENT, PartStatus.DEAD, PartStatus.QUEUED]) is DeliveryStatus.FAILED

    def test_an_open_part_keeps_it_pending(self) -> None:
        for part in (PartStatus.QUEUED, PartStatus.ATTEMPTING, PartStatus.UNKNOWN):
            assert message_status([PartStatus.READ, part]) is DeliveryStatus.PENDING

    def test_else_the_lowest_part_counts(self) -> None:
        assert message_status([PartStatus.READ, PartStatus.DELIVERED]) is DeliveryStatus.DELIVERED
        assert message_status([PartStatus.READ, PartStatus.READ]) is DeliveryStatus.READ
        assert message_status([PartStatus.DELIVERED, PartStatus.SENT]) is DeliveryStatus.SENT


class TestPartMayBecome:
    def test_receipts_in_any_order_end_at_the_highest(self) -> None:
        for order in permutations([PartStatus.SENT, PartStatus.DELIVERED, PartStatus.READ]):
            current = PartStatus.SENT
            for target in order:
                if part_may_become(current, target):
                    current = target
            assert current is PartStatus.READ

    def test_a_dead_part_stays_dead(self) -> None:
        assert not any(part_may_become(PartStatus.DEAD, target) for target in PartStatus)

    def test_a_receipt_settles_an_unknown_outcome(self) -> None:
        assert part_may_become(PartStatus.UNKNOWN, PartStatus.DELIVERED)
