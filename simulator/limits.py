"""The platforms' rate limits on sends, as token buckets. Off unless a channel's `flood_control` is on.

Telegram: about 1 message/s in one chat, 20 a minute in a group, 30/s for the bot (platforms.md §2.5, from the server's
source; https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this); edits count as well. Slack: about
1/s in one conversation with short bursts (§4.6). Both forgive a short burst, here of `_BURST`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from simulator.records import Chat

_BURST: Final = 3.0


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float

    def wait(self, now: float, rate: float, size: float) -> float:
        """Take one; return 0, or how long until one is there (then nothing is taken)."""
        self.level = min(size, self.level + (now - self.at) * rate)
        self.at = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / rate


class FloodControl:
    """Buckets by channel and chat."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def wait_s(self, channel: str, platform: str, chat: Chat, now: float) -> int:
        """Count a send; return 0, or the whole seconds to wait, as both platforms round up."""
        wait = self._take((channel, chat.id), now, 1.0, _BURST)
        if platform == "telegram" and chat.kind in {"group", "supergroup"}:
            wait = max(wait, self._take((channel, f"{chat.id} minute"), now, 20 / 60, 20.0))
        if platform == "telegram":
            wait = max(wait, self._take((channel, ""), now, 30.0, 30.0))
        return math.ceil(wait)

    def edit_wait_s(self, channel: str, platform: str, chat: Chat, now: float) -> int:
        """Count an edit where edits have limits of their own: Slack 50 a minute, Discord five in five seconds a channel."""
        if platform == "slack":
            return math.ceil(self._take((channel, "edits"), now, 50 / 60, 10.0))
        return math.ceil(self._take((channel, f"{chat.id} edits"), now, 1.0, 5.0))

    def _take(self, key: tuple[str, str], now: float, rate: float, size: float) -> float:
        bucket = self._buckets.setdefault(key, _Bucket(size, now))
        return bucket.wait(now, rate, size)
