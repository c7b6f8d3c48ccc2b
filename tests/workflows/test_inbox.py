"""What waits in a session is answered in the platform's order, once each, and a missing number is noticed."""

from __future__ import annotations

import pytest

from domain.work import Arrival, SessionPlan, SessionRef, SessionState
from workflows.inbox import Inbox


def arrival(number: int, order_key: str = "") -> Arrival:
    return Arrival(number, order_key or f"{number:03d}", f"message-{number}", "trace")


def plan(last: int, *waiting: int, processed: int = 0) -> SessionPlan:
    return SessionPlan(processed, last, "active", "ai", 1, waiting=[arrival(number) for number in waiting])


@pytest.fixture
def state() -> SessionState:
    return SessionState(SessionRef("account", "session", "channel", "platform"))


@pytest.fixture
def inbox(state: SessionState) -> Inbox:
    return Inbox(state)


class TestAdd:
    def test_the_platforms_order_counts_not_the_order_of_arrival(self, inbox: Inbox, state: SessionState) -> None:
        for one in (arrival(1, "002"), arrival(2, "003"), arrival(3, "001"), arrival(4, "002")):
            inbox.add(one)
        assert [one.arrival_no for one in state.pending] == [3, 1, 4, 2]

    def test_a_repeat_changes_nothing(self, inbox: Inbox, state: SessionState) -> None:
        inbox.take_plan(plan(2, 2))
        for number in (1, 2, 2):
            inbox.add(arrival(number))
        assert [one.arrival_no for one in state.pending] == [2]


class TestHasGap:
    def test_a_missing_number_is_noticed_until_it_is_read(self, inbox: Inbox) -> None:
        inbox.add(arrival(1))
        assert not inbox.has_gap()
        inbox.add(arrival(3))
        assert inbox.has_gap()
        inbox.take_plan(plan(3, 1, 2, 3))
        assert not inbox.has_gap()

    def test_what_is_handled_out_of_order_is_not_missing(self, inbox: Inbox) -> None:
        inbox.take_plan(plan(3, 1, 3))
        assert not inbox.has_gap()


class TestSettle:
    def test_the_watermark_waits_for_the_lowest(self, inbox: Inbox, state: SessionState) -> None:
        inbox.take_plan(plan(2, 1, 2))
        inbox.take_all()
        inbox.settle([arrival(2)], [])
        assert (state.processed_no, state.done) == (0, [2])
        inbox.settle([arrival(1)], [])
        assert (state.processed_no, state.done) == (2, [])
