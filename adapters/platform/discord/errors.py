"""What Discord's refusals mean, and what an operator can do about each.

Codes: https://docs.discord.com/developers/topics/opcodes-and-status-codes#json. Permanent ones must not be tried again:
10 000 answers of 401, 403 and 429 in ten minutes ban the address they came from.
"""

from __future__ import annotations

from typing import Final

from adapters.base import ErrorClass, Refused, SendResult, Unknown
from adapters.http import Answer, Lost, NotSent, Outcome
from adapters.limits import Scope

_PERMANENT: Final = {
    10003: "The channel does not exist any more",
    10004: "The bot is not in this server any more",
    10008: "The message does not exist any more",
    40005: "The message is larger than Discord allows",
    50001: "The bot cannot see this channel; invite it, or give its role access",
    50006: "Discord found no text in the message",
    50007: "The person takes no direct messages from this bot",
    50008: "There is no text in this kind of channel",
    50013: "The bot's role may not write here; give it the right to send messages",
    50035: "Discord refused the message's form or length",
    50083: "The thread is archived; open it again to answer there",
    50278: "The bot shares no server with the person, so it cannot write to them",
    160002: "The bot may not answer a message whose history it cannot read; give it that right",
    200000: "The server's automatic moderation withheld the message",
    240000: "Discord does not allow a link in the message",
}
_NOT_NOW: Final = {
    20016: "The channel is in slow mode",
    20028: "The channel takes no more messages just now",
    20029: "The server takes no more messages just now",
    30046: "The message was edited too often just now",
    40003: "Too many direct chats were opened just now",
    40062: "Discord asks to slow down",
}
_BROKEN: Final = frozenset({40001, 40002, 50014})
_BANNED_WAIT_S: Final = 600.0
_DEFAULT_WAIT_S: Final = 30.0


def result_of(outcome: Outcome) -> dict[str, object] | SendResult:
    """Return a call's answer, or how the call failed."""
    if isinstance(outcome, NotSent):
        return Refused(ErrorClass.TRANSIENT, outcome.reason, "Discord could not be reached")
    if isinstance(outcome, Lost):
        return Unknown(f"no answer from Discord ({outcome.reason})")
    if outcome.status in {200, 201}:
        return outcome.json_object()
    return _refusal(outcome, outcome.json_object())


def _refusal(outcome: Answer, body: dict[str, object]) -> SendResult:
    status, number = outcome.status, body.get("code")
    code = number if isinstance(number, int) and not isinstance(number, bool) else None
    spelled = f"{code}" if code else f"HTTP {status}"
    if status == 429:
        return _limited(outcome, body)
    if status >= 500 or status < 300:
        return Unknown(f"Discord failed: {spelled}")
    if status < 400:
        return Refused(ErrorClass.CHANNEL_BROKEN, spelled, "The API address redirects; correct it")
    if status == 401 or code in _BROKEN:
        words = "Discord does not accept the bot's token; reset it in the developer portal and enter the new one"
        return Refused(ErrorClass.CHANNEL_BROKEN, spelled, words)
    if status == 403 and code is None:
        # Not Discord's own words but the wall in front of it: going on would make it worse.
        return Refused(ErrorClass.RATE_LIMITED, spelled, "Discord blocks this address for a while", _BANNED_WAIT_S)
    if code in _NOT_NOW:
        return Refused(ErrorClass.TRANSIENT, spelled, _NOT_NOW[code])
    return Refused(ErrorClass.PERMANENT, spelled, _PERMANENT.get(code or 0, "Discord refused the message"))


def _limited(outcome: Answer, body: dict[str, object]) -> Refused:
    """Return the wait: a fraction of seconds in the body, whole ones in the header."""
    wait = body.get("retry_after")
    wait_s = float(wait) if isinstance(wait, int | float) and not isinstance(wait, bool) and wait > 0 else None
    whole = body.get("global") is True or outcome.headers.get("x-ratelimit-global") == "true"
    words = "Discord asks the whole bot to slow down" if whole else "Discord asks to slow down in this channel"
    bucket = outcome.headers.get("x-ratelimit-bucket", "")[:64]
    code = "429 global" if whole else f"429 {bucket}".strip()
    if not (whole or body or bucket):
        # Not the API's own words: who else is meant is not known.
        return Refused(ErrorClass.RATE_LIMITED, code, words, outcome.retry_after_s() or _DEFAULT_WAIT_S)
    scope = Scope.BOT if whole else Scope.CHAT
    wait_s = wait_s or outcome.retry_after_s() or _DEFAULT_WAIT_S
    return Refused(ErrorClass.RATE_LIMITED, code, words, wait_s, scope)
