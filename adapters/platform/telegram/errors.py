"""What Telegram's refusals mean, and what an operator can do about each (reference: the Bot API's error answers).

The Bot API has no error codes beyond HTTP's, so its descriptions are matched here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from adapters.base import ErrorClass, Refused, SendResult, Unknown
from adapters.http import Answer, Lost, NotSent, Outcome

_DESCRIPTIONS: Final = (
    ("can't parse entities", ErrorClass.BAD_MARKUP, "Telegram could not read the formatting; sent again as plain text"),
    ("chat not found", ErrorClass.PERMANENT, "The chat does not exist (any more), or the bot was never in it"),
    ("not enough rights", ErrorClass.PERMANENT, "The bot may not write in this chat; give it the right to send messages"),
    ("message is too long", ErrorClass.PERMANENT, "The message is longer than Telegram allows"),
    ("text is empty", ErrorClass.PERMANENT, "Telegram found no text in the message"),
    ("topic_closed", ErrorClass.PERMANENT, "The forum topic is closed; reopen it to answer there"),
    ("chat_write_forbidden", ErrorClass.PERMANENT, "The bot may not write in this chat"),
    ("group chat was upgraded", ErrorClass.PERMANENT, "The group has a new id; its next message opens a new session"),
)  # fmt: skip
_STATUSES: Final = {
    401: (ErrorClass.CHANNEL_BROKEN, "Telegram does not accept the bot's token; create a new one with @BotFather"),
    403: (ErrorClass.PERMANENT, "The person blocked the bot, or the bot was removed from the chat"),
    404: (ErrorClass.CHANNEL_BROKEN, "Telegram knows no bot with this token; check it with @BotFather"),
    409: (ErrorClass.CHANNEL_BROKEN, "Another program polls this bot; stop it, or give it a bot of its own"),
    413: (ErrorClass.PERMANENT, "The message is larger than Telegram allows"),
}
_DEFAULT_WAIT_S: Final = 30.0


def result_of(outcome: Outcome) -> dict[str, object] | SendResult:
    """Return a call's `result`, wrapped as `{"result": …}`, or how the call failed."""
    if isinstance(outcome, NotSent):
        return Refused(ErrorClass.TRANSIENT, outcome.reason, "Telegram could not be reached")
    if isinstance(outcome, Lost):
        return Unknown(f"no answer from Telegram ({outcome.reason})")
    answer = outcome.json_object()
    if outcome.status == 200 and answer.get("ok") is True:
        return {"result": answer.get("result")}
    return _refusal(outcome, answer)


def parameter(answer: Mapping[str, object], name: str) -> int | None:
    """Return a number of the answer's `parameters`."""
    parameters = answer.get("parameters")
    value = cast("dict[str, object]", parameters).get(name) if isinstance(parameters, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _refusal(outcome: Answer, answer: Mapping[str, object]) -> SendResult:
    code = answer.get("error_code")
    status = code if isinstance(code, int) and outcome.status == 200 else outcome.status
    description = str(answer.get("description") or f"HTTP {outcome.status}")[:300]
    if status == 429:
        wait = parameter(answer, "retry_after")
        wait_s = float(wait) if wait is not None else outcome.retry_after_s()
        return Refused(ErrorClass.RATE_LIMITED, description, "Telegram asks to slow down", wait_s or _DEFAULT_WAIT_S)
    if status >= 500 or status < 300:
        # The Bot API has no idempotency key: after a 5xx the message may have been posted.
        return Unknown(f"Telegram failed: {description}")
    if status < 400:
        return Refused(ErrorClass.CHANNEL_BROKEN, f"HTTP {status}", "The API address redirects; correct it")
    for words, error_class, message in _DESCRIPTIONS:
        if status == 400 and words in description.lower():
            return Refused(error_class, description, message)
    error_class, message = _STATUSES.get(status, (ErrorClass.PERMANENT, "Telegram refused the message"))
    return Refused(error_class, description, message)
