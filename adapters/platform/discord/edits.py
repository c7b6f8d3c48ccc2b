"""Changing and deleting messages, and how often the bot may speak. Called by the adapter.

https://docs.discord.com/developers/resources/message#edit-message, #delete-message. Rates:
https://docs.discord.com/developers/topics/rate-limits: 50 requests a second for a bot; the routes' own limits are not promised but
told in headers, each for one channel. Five in five seconds is what sending and editing have had for years.
"""

from __future__ import annotations

from typing import Final

from adapters.base import Accepted, EditRequest, ErrorClass, Refused, SendResult, Unknown
from adapters.capabilities import Preview
from adapters.http import Answer, Outcome
from adapters.limits import Scope, SendRule, Verb
from adapters.platform.discord.errors import result_of

_GONE: Final = frozenset({"10008", "50005"})
_LONGEST_S: Final = 60.0

RULES: Final = (
    SendRule("bot", 50, 1, 50, Scope.BOT),
    SendRule("send", 5, 5, 5, Scope.CHAT, frozenset({Verb.SEND})),
    SendRule("edit", 5, 5, 5, Scope.CHAT, frozenset({Verb.EDIT})),
)


def preview_in(_chat: str) -> Preview:
    """Say how a growing reply is shown: by edits; the first post cannot be doubled while its nonce is remembered."""
    return Preview.EDITS


def pause_s(outcome: Outcome) -> float:
    """Return how long the route takes nothing more in this channel: its bucket is empty after this request."""
    if not isinstance(outcome, Answer) or outcome.headers.get("x-ratelimit-remaining") != "0":
        return 0.0
    try:
        left_s = float(outcome.headers.get("x-ratelimit-reset-after", "0"))
    except ValueError:
        return 0.0
    return min(left_s, _LONGEST_S) if left_s > 0 else 0.0


def edit_body(request: EditRequest) -> dict[str, object]:
    """Return the body: still nobody is rung."""
    return {
        "content": request.text,
        "allowed_mentions": {"parse": [], "replied_user": False},
    }


def edited(outcome: Outcome, message_id: str) -> SendResult:
    """Tell how an edit ended."""
    answer = result_of(outcome)
    if isinstance(answer, dict):
        if answer.get("id") != message_id:
            return Unknown("Discord's answer names no message")
        return Accepted(message_id, pause_s(outcome))
    if isinstance(answer, Refused) and answer.code in _GONE:
        return Refused(ErrorClass.GONE, answer.code, "The message is not there any more, or is not the bot's")
    return answer


def deleted(outcome: Outcome, message_id: str) -> SendResult:
    """Tell how a deletion ended; what is gone already is deleted."""
    if isinstance(outcome, Answer) and outcome.status == 204:
        return Accepted(message_id)
    answer = result_of(outcome)
    if isinstance(answer, dict):
        return Unknown("Discord's answer does not say that it was deleted")
    return Accepted(message_id) if isinstance(answer, Refused) and answer.code == "10008" else answer
