"""What waits in a session: kept in platform order, each message once, with the numbers that show whether one is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from domain.work import Arrival, SessionPlan, SessionState, Settling

COLLECT: Final = "collect"


class Inbox:
    """A view on the session's state. Of its own it keeps, between two turns only, whether the session is busy and
    which messages the running turn took while it ran.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._busy = False
        self._taken: list[Arrival] = []

    @property
    def plan(self) -> SessionPlan:
        """The session's plan; it exists as soon as the workflow runs."""
        plan = self._state.plan
        if plan is None:
            raise RuntimeError("the session has not been loaded")
        return plan

    def add(self, arrival: Arrival) -> None:
        """Take an arrival that was signalled; one that is handled, or waits already, changes nothing."""
        state = self._state
        if arrival.arrival_no <= state.processed_no or arrival.arrival_no in state.done:
            return
        if any(waiting.arrival_no == arrival.arrival_no for waiting in state.pending):
            return
        state.last_seen_no = max(state.last_seen_no, arrival.arrival_no)
        state.pending.append(arrival)
        state.pending.sort(key=lambda waiting: (waiting.order_key, waiting.arrival_no))

    def take_plan(self, plan: SessionPlan) -> None:
        """Take what the table says: the truth about what is handled and what waits."""
        state = self._state
        waiting = {arrival.arrival_no for arrival in plan.waiting}
        state.last_seen_no = max(state.last_seen_no, plan.last_arrival_no)
        state.plan = plan
        first_waiting = min(waiting, default=plan.last_arrival_no + 1)
        state.processed_no = max(state.processed_no, plan.processed_no, first_waiting - 1)
        known = range(state.processed_no + 1, plan.last_arrival_no + 1)
        state.done = [number for number in known if number not in waiting]
        # What was signalled before the table was read, and is handled by now, waits no longer.
        state.pending = [
            arrival
            for arrival in state.pending
            if arrival.arrival_no > plan.last_arrival_no or arrival.arrival_no in waiting
        ]
        for arrival in plan.waiting:
            self.add(arrival)
        for message in plan.undelivered:
            if message not in state.outgoing and state.open_delivery is None:
                state.outgoing.append(message)
        state.plan = replace(plan, waiting=[], undelivered=[])

    def has_gap(self) -> bool:
        """Whether an arrival below the highest one seen is neither waiting nor handled: it must be read."""
        state = self._state
        known = len(state.pending) + len(state.done)
        return state.processed_no + known < state.last_seen_no

    async def take(self, sleep: Callable[[float], Awaitable[None]]) -> list[Arrival]:
        """Take what the next turn answers: one message, or with `collect` all that came while the last turn ran."""
        if self.plan.busy_mode == COLLECT and self._busy:
            await sleep(self.plan.collect_window_ms / 1000)
            return self.take_all()
        self._busy = True
        return [self._state.pending.pop(0)]

    def files_settled(self, message_ids: list[str]) -> None:
        """Remember that the files of these messages need not be waited for any more."""
        state = self._state
        state.pending = [
            replace(waiting, files=False) if waiting.message_id in message_ids else waiting for waiting in state.pending
        ]

    def take_all(self) -> list[Arrival]:
        """Take everything that waits."""
        taken, self._state.pending = self._state.pending, []
        return taken

    def take_steering(self) -> list[str]:
        """Take what the running turn shall answer too, as message ids; remembered until the turn settles."""
        taken = self.take_all()
        self._taken += taken
        return [arrival.message_id for arrival in taken]

    def _numbers(self, batch: list[Arrival], steered: list[str]) -> list[int]:
        known = [*self._state.pending, *self._taken]
        return [a.arrival_no for a in batch] + [a.arrival_no for a in known if a.message_id in steered]

    def settling(self, batch: list[Arrival], steered: list[str]) -> Settling:
        """Return what a reply to these settles."""
        handled = [arrival.message_id for arrival in batch] + steered
        return Settling(self._processed_after(batch, steered), handled)

    def _processed_after(self, batch: list[Arrival], steered: list[str]) -> int:
        """Return the watermark as it will be once these are settled."""
        done = {*self._state.done, *self._numbers(batch, steered)}
        number = self._state.processed_no
        while number + 1 in done:
            number += 1
        return number

    def settle(self, batch: list[Arrival], steered: list[str]) -> None:
        """Remember that these are handled."""
        state = self._state
        numbers = self._numbers(batch, steered)
        state.processed_no, before = self._processed_after(batch, steered), state.done
        state.done = sorted(n for n in {*before, *numbers} if n > state.processed_no)
        state.pending = [arrival for arrival in state.pending if arrival.message_id not in steered]
        self._taken = []
        self._busy = bool(state.pending)
