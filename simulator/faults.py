"""Scripted faults: which call goes wrong, how, and how often; and the gates that hold a call until it is released.

Knows no platform: what a refusal looks like is said by telegram.py, slack.py and model.py. Scripted through control.py,
asked by api_call.py once a call.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.log import Changes
from simulator.records import Call, Platform

FaultKind = Literal[
    "rate_limited",  # 429 with retry_after_s; `window`: every matching call until the wait is over
    "server_error",  # `status` (500), nothing stored
    "accept_then_error",  # stored, then `status` (500)
    "accept_then_drop",  # stored, then the connection closes without an answer
    "drop_before_accept",  # the connection closes, nothing stored
    "slow",  # waits delay_s, then as usual
    "hold",  # waits for the release, then as usual
    "accept_then_hold",  # stored; the answer waits for the release
    "error",  # the permanent refusal named by `error`
    "truncate",  # the model and files only: the stream ends in the middle
    "oversized",  # files only: longer than said
    "duplicate",  # on the way to the bot: told twice
    "reorder",  # on the way to the bot: told after what comes next
]
BEFORE: frozenset[str] = frozenset({"rate_limited", "server_error", "error"})
"""Kinds that refuse instead of doing."""
TO_BOT: frozenset[str] = frozenset({"duplicate", "reorder"})
"""Kinds that do not concern the bot's calls but what it is told; see mischief.py."""
TELLING = "(to the bot)"
"""The method of a call that stands for something that the bot is told."""


class FaultInput(BaseModel):
    """A script as it is posted. What is None matches everything."""

    model_config = ConfigDict(extra="forbid")

    platform: Platform | Literal["model"] | None = None
    channel: str | None = None
    """A channel's name; for the model, the API key."""
    token: str | None = None
    method: str | None = None
    chat: str | None = None
    """A chat's id or name."""
    text_contains: str | None = None
    kind: FaultKind
    times: int | None = 1
    """How many calls it hits; None: all."""
    every: int = Field(default=1, ge=1)
    """Hits every k-th matching call."""
    skip: int = 0
    """Lets this many matching calls pass first."""
    status: int = 500
    retry_after_s: float = 1.0
    window: bool = False
    delay_s: float = 1.0
    error: str = "chat_not_found"
    """A platform's error by name (see docs of telegram.py and slack.py), or its own code or text."""


class Fault:
    """A script at work."""

    def __init__(self, number: int, script: FaultInput, changes: Changes) -> None:
        self.id = f"fault-{number}"
        self.script = script
        self.matched = 0
        self.hits = 0
        self.window_ends: float | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._changes = changes

    @property
    def holding(self) -> int:
        """Return how many calls wait at the gate."""
        return sum(not future.done() for future in self._waiting)

    @property
    def spent(self) -> bool:
        """Return whether it will hit no more."""
        return self.script.times is not None and self.hits >= self.script.times and self.window_ends is None

    def matches(self, call: Call) -> bool:
        """Return whether the call is of the scripted kind."""
        script = self.script
        return (
            (script.kind in TO_BOT) == (call.method == TELLING)
            and script.platform in {None, call.platform}
            and script.channel in {None, call.channel}
            and script.method in {None, call.method}
            and (script.chat is None or script.chat in {call.chat, call.chat_name})
            and (script.text_contains is None or script.text_contains in str(call.body))
        )

    def due(self, now: float) -> bool:
        """Count a matching call; return whether it is hit."""
        if self.window_ends is not None:
            if now < self.window_ends:
                return True
            self.window_ends = None
        if self.spent:
            return False
        self.matched += 1
        position = self.matched - self.script.skip
        if position <= 0 or position % self.script.every:
            return False
        self.hits += 1
        if self.script.kind == "rate_limited" and self.script.window:
            self.window_ends = now + self.script.retry_after_s
        return True

    def wait_s(self, now: float) -> float:
        """Return the wait that a refused call is told."""
        return self.script.retry_after_s if self.window_ends is None else max(self.window_ends - now, 0.0)

    async def pass_gate(self) -> None:
        """Wait for the release."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._changes.bump()
        await future

    def release(self) -> int:
        """Let all who wait go on; return how many."""
        count = self.holding
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
        self._changes.bump()
        return count


class Faults:
    """All scripts, asked in the order in which they were posted."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._numbers = itertools.count(1)
        self._faults: dict[str, Fault] = {}

    def add(self, script: FaultInput) -> Fault:
        """Begin a script."""
        fault = Fault(next(self._numbers), script, self._changes)
        self._faults[fault.id] = fault
        self._changes.bump()
        return fault

    def get(self, fault_id: str) -> Fault | None:
        """Return a script by its id, also one that is spent."""
        return self._faults.get(fault_id)

    def all(self) -> list[Fault]:
        """Return every script since the last reset."""
        return list(self._faults.values())

    def remove(self, fault_id: str) -> None:
        """End a script; who waits at its gate goes on."""
        fault = self._faults.pop(fault_id, None)
        if fault is not None:
            fault.release()

    def take(self, call: Call) -> Fault | None:
        """Return the fault that hits this call, None where it goes well."""
        for fault in self._faults.values():
            if fault.matches(call) and fault.due(call.mono):
                call.fault = fault.script.kind
                return fault
        return None
