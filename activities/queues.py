"""Task queues by class of work: together (least latency, the embedded default) or apart (nothing starves another)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskQueues:
    """Where work goes. `split=False` keeps everything on the session's own queue, with eager hand-over."""

    chat: str = "chat"
    split: bool = False

    @property
    def turns(self) -> str | None:
        """The queue of model requests and tools; None for the session's own."""
        return f"{self.chat}-turns" if self.split else None

    def delivery(self, platform: str) -> str | None:
        """The queue of a platform's deliveries; None for the session's own."""
        return f"{self.chat}-delivery-{platform}" if self.split else None

    @property
    def connectors(self) -> str:
        """The queue of held sockets: always its own, because each takes a slot for as long as it lasts."""
        return f"{self.chat}-connectors"

    @property
    def media(self) -> str:
        """The queue of downloads: always its own, so that slow ones take no slot from turns and deliveries."""
        return f"{self.chat}-media"

    def all(self, platforms: Iterable[str]) -> list[str]:
        """Return every queue that some worker must serve."""
        apart = [self.turns, *(self.delivery(platform) for platform in platforms)]
        return [self.chat, self.connectors, self.media, *(name for name in apart if name is not None)]
