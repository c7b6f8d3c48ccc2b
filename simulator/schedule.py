"""When a webhook that failed is sent again. Pure; called by webhooks.py.

Telegram, from the server's source (tdlib/telegram-bot-api, WebhookActor.cpp, `on_update_error`): the first failure waits
for nothing, then the delay doubles from 2 s up to a random 60 to 120 s; a Retry-After of ours, at most an hour, is taken
instead; an update that would pass its life (24 h, button presses 150 s) is dropped. Slack (https://docs.slack.dev/apis/events-api,
"Retries"): nearly at once, after 1 min, after 5 min, then never.
WhatsApp (§1.4, third parties agree): at once, then with growing pauses for seven days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulator.dice import DICE

UPDATE_LIFE_S: Final = 24 * 3600.0
PRESS_LIFE_S: Final = 150.0
NOTICE_LIFE_S: Final = 7 * 24 * 3600.0
_SLACK_S: Final = (0.0, 60.0, 300.0)
_SLACK_PERSISTENT_S: Final = 60.0
_RETRY_AFTER_MAX_S: Final = 3600.0
_CAP_S: Final = 60.0


@dataclass(slots=True)
class Schedule:
    """One delivery's failures so far. Waits are the platform's own, before division by the time factor."""

    platform: str
    persistent: bool
    lifetime_s: float | None
    failures: int = 0
    waited_s: float = 0.0
    _delay_s: float = 1.0

    def next_wait(self, retry_after_s: float) -> float | None:
        """Count a failure; return the wait before the next try, None where there is none."""
        self.failures += 1
        wait = self._wait(min(retry_after_s, _RETRY_AFTER_MAX_S))
        if wait is None:
            return None
        self.waited_s += wait
        if self.lifetime_s is not None and self.waited_s > self.lifetime_s and not self.persistent:
            return None
        return wait

    def _wait(self, retry_after_s: float) -> float | None:
        if self.platform == "slack":
            return self._slack()
        return self._telegram(retry_after_s if self.platform == "telegram" else 0.0)

    def _slack(self) -> float | None:
        if self.failures <= len(_SLACK_S):
            return _SLACK_S[self.failures - 1]
        return _SLACK_PERSISTENT_S if self.persistent else None

    def _telegram(self, retry_after_s: float) -> float:
        if retry_after_s > 0:
            return retry_after_s
        if self.failures == 1:
            return 0.0
        self._delay_s = min(DICE.uniform(_CAP_S, 2 * _CAP_S), self._delay_s * 2)
        return self._delay_s
