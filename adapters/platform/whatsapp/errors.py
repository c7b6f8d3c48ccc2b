"""What the Cloud API's refusals mean, and what an operator can do about each.

Codes: developers.facebook.com, *WhatsApp Cloud API, Error codes*. The same codes come in failed receipts. Texts are
never matched: Meta rewords and translates them.
"""

from __future__ import annotations

import json
from typing import Final, cast

from adapters.base import ErrorClass, Refused, SendResult, Unknown
from adapters.http import Answer, Lost, NotSent, Outcome
from adapters.limits import Scope
from adapters.platform.whatsapp.payloads import Problem

_SLOW_DOWN: Final = {
    4: (60.0, "The app makes too many calls"),
    80007: (60.0, "The business account makes too many calls"),
    130429: (5.0, "The number sends faster than WhatsApp takes it"),
    131048: (3600.0, "WhatsApp limits the number because people blocked or reported its messages"),
    131064: (3600.0, "The number has reached its messaging limit; WhatsApp raises it with use"),
    133016: (3600.0, "The number was registered too often"),
}
"""Code → the wait in seconds where WhatsApp names none, and what it means."""

_NOT_NOW: Final = {
    # One person's pace, not the number's: only this message waits.
    131056: "Too many messages to this person in a short time",
    131000: "WhatsApp could not send the message just now",
    131016: "WhatsApp is overloaded or under maintenance",
    131057: "The business account is under maintenance",
    135000: "WhatsApp could not send the message",
}
_BROKEN: Final = {
    0: "WhatsApp does not accept the access token; make a new one",
    3: "The access token lacks the permission whatsapp_business_messaging",
    10: "The access token lacks the permission whatsapp_business_messaging",
    33: "The phone number id does not exist any more; correct it",
    190: "The access token has expired or was revoked; make a new one, best one that never expires",
    368: "The business account is blocked for breaking WhatsApp's rules; see the WhatsApp manager",
    131031: "The business account is locked; see the WhatsApp manager",
    131037: "The number's display name is not approved yet",
    131042: "There is a problem with the business account's means of payment",
    131045: "The number is not registered; register it in the WhatsApp manager",
}
_PERMANENT: Final = {
    131047: "More than 24 hours have passed since the person last wrote; only a template may be sent now",
    131026: "The person cannot be reached: no WhatsApp, an old version, or they have not accepted its terms",
    131021: "Sender and recipient are the same number",
    131030: "The recipient is not on the test number's list; add them there",
    131050: "The person does not want messages of this kind from this business",
    130472: "WhatsApp withheld the message from a trial group of people",
    131049: "WhatsApp withheld the message to spare the person; not before a day has passed",
    # Listed among the account's faults by others; it concerns the people of one country, so the channel goes on.
    130497: "WhatsApp lets this business not write to people in the recipient's country",
    131062: "This recipient id cannot be used for this message",
    131063: "This recipient id cannot be used for this message",
    131008: "WhatsApp misses a field in the message",
    131009: "A field of the message has a value that WhatsApp does not take",
    131051: "WhatsApp does not know this kind of message",
    131052: "WhatsApp could not read the file",
    131053: "WhatsApp could not take the file",
    137000: "This recipient id cannot be used for this message",
}
WINDOW_CLOSED: Final = 131047
_NO_SUCH_OBJECT: Final = (100, 33)


def words_of(problem: Problem) -> str:
    """Return an error object as one line, its code first."""
    details = problem.error_data.details if problem.error_data else None
    said = _PERMANENT.get(problem.code) or details or problem.title or problem.message or "no reason given"
    return f"{problem.code}: {said}"[:500]


def result_of(outcome: Outcome) -> dict[str, object] | SendResult:
    """Return a call's answer, or how the call failed."""
    if isinstance(outcome, NotSent):
        return Refused(ErrorClass.TRANSIENT, outcome.reason, "WhatsApp could not be reached")
    if isinstance(outcome, Lost):
        return Unknown(f"no answer from WhatsApp ({outcome.reason})")
    answer = outcome.json_object()
    error = answer.get("error")
    if outcome.status == 200 and not isinstance(error, dict):
        return answer
    return _refusal(outcome, cast("dict[str, object]", error) if isinstance(error, dict) else {})


def _refusal(outcome: Answer, error: dict[str, object]) -> SendResult:
    status, code, sub = outcome.status, _number(error, "code"), _number(error, "error_subcode")
    spelled = f"{code}" if code is not None else f"HTTP {status}"
    if code in _SLOW_DOWN or (status == 429 and code is None):
        wait_s, words = _SLOW_DOWN.get(code or 0, (30.0, "WhatsApp asks to slow down"))
        return Refused(ErrorClass.RATE_LIMITED, spelled, words, _named_wait_s(outcome) or wait_s, Scope.BOT)
    if code in _NOT_NOW:
        return Refused(ErrorClass.TRANSIENT, spelled, _NOT_NOW[code])
    if status >= 500 or status < 300:
        # There is no idempotency key: after an unexplained breakdown the message may have gone out.
        return Unknown(f"WhatsApp failed, error {spelled}")
    if status < 400:
        return Refused(ErrorClass.CHANNEL_BROKEN, spelled, "The API address redirects; correct it")
    if code in {1, 2}:
        return Refused(ErrorClass.TRANSIENT, spelled, "WhatsApp is down just now")
    return _final(outcome, code, sub, spelled)


def _final(outcome: Answer, code: int | None, sub: int | None, spelled: str) -> Refused:
    if (code, sub) == _NO_SUCH_OBJECT:
        words = "The phone number id does not exist, or the access token may not use it"
        return Refused(ErrorClass.CHANNEL_BROKEN, f"{code}/{sub}", words)
    if code in _BROKEN or (code is not None and 200 <= code <= 299):
        words = _BROKEN.get(code, "The access token lacks a permission for this number")
        return Refused(ErrorClass.CHANNEL_BROKEN, spelled, words)
    if code == WINDOW_CLOSED:
        return Refused(ErrorClass.WINDOW_CLOSED, spelled, _PERMANENT[code])
    if code in _PERMANENT:
        return Refused(ErrorClass.PERMANENT, spelled, _PERMANENT[code])
    if outcome.status == 401:
        return Refused(ErrorClass.CHANNEL_BROKEN, spelled, _BROKEN[0])
    return Refused(ErrorClass.PERMANENT, spelled, "WhatsApp refused the message")


def _number(error: dict[str, object], name: str) -> int | None:
    value = error.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _named_wait_s(outcome: Answer) -> float | None:
    """Return the wait that the answer names: in seconds in one header, in minutes in the usage report."""
    wait_s = outcome.retry_after_s()
    if wait_s is not None:
        return wait_s
    try:
        report: object = json.loads(outcome.headers.get("x-business-use-case-usage", "null"))
    except ValueError:
        return None
    found = [0.0]
    for uses in _values(report):
        for use in _values(uses):
            minutes = (
                cast("dict[str, object]", use).get("estimated_time_to_regain_access") if isinstance(use, dict) else 0
            )
            found.append(float(minutes) if isinstance(minutes, int | float) else 0.0)
    return max(found) * 60 or None


def _values(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []
