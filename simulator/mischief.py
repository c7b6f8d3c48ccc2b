"""What goes wrong on the way to the bot: told twice, or in another order. By webhook and by socket alike.

Scripted like every fault (kinds `duplicate` and `reorder`), asked once for each thing that a person does. What is held back
by `reorder` waits for the next thing that the bot of this channel is told, or for the end of the script. Called by control.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from simulator.channel import Channel
from simulator.faults import TELLING, Faults
from simulator.records import Call, Delivery
from simulator.stream import Told
from simulator.wish import Done, Say


@dataclass(slots=True)
class _Held:
    """What waits."""

    deliveries: list[Delivery] = field(default_factory=list[Delivery])
    told: list[Told] = field(default_factory=list[Told])


class Mischief:
    """One a world."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: dict[str, _Held] = {}

    def change(self, done: Done, say: Say, position: int) -> list[Delivery]:
        """Return what is delivered now. `position`: of the channel's stream, before the person did it.

        No await between the doing and this: what a socket has read cannot be taken back.
        """
        channel = done.channel
        call = Call(
            channel.platform, channel.name, TELLING, done.chat.id, done.chat.name, {"text": say.text},
            time.time(), time.monotonic(),
        )  # fmt: skip
        fault = self._faults.take(call)
        kind = fault.script.kind if fault else ""
        if kind == "reorder":
            held = self._held.setdefault(channel.name, _Held())
            held.deliveries += done.deliveries
            held.told += channel.stream.take_back(position)
            return []
        if kind == "duplicate":
            self._repeat(channel, channel.stream.events[position:])
            for delivery in done.deliveries:
                delivery.copies += 1
        return [*done.deliveries, *self.let_go(channel)]

    def let_go(self, channel: Channel) -> list[Delivery]:
        """Tell by the socket what was held back, and return what must be delivered."""
        held = self._held.pop(channel.name, _Held())
        self._repeat(channel, held.told)
        return held.deliveries

    def _repeat(self, channel: Channel, told: list[Told]) -> None:
        for one in told:
            channel.stream.emit(one.name, one.data, one.chat)
