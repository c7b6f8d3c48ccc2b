"""What Slack's refusals mean, and what an operator can do about each (https://docs.slack.dev/reference/methods).

Slack says most of them with HTTP 200 and `ok: false`, so the body is always read.
"""

from __future__ import annotations

from typing import Final

from adapters.base import ErrorClass, Refused, SendResult, Unknown
from adapters.http import Answer, Lost, NotSent, Outcome

_BROKEN: Final = {
    "invalid_auth": "Slack does not accept the bot token; install the app again and enter the new token",
    "not_authed": "The bot token is missing; enter the one that starts with xoxb-",
    "account_inactive": "The app's account was switched off; install the app again",
    "token_revoked": "The bot token was revoked; install the app again and enter the new token",
    "token_expired": "The bot token has expired; install the app again and enter the new token",
    "missing_scope": "The app lacks a permission (chat:write at least); add it and install the app again",
    "no_permission": "The app lacks a permission (chat:write at least); add it and install the app again",
    "not_allowed_token_type": "This is not a bot token; enter the one that starts with xoxb-",
    "team_access_not_granted": "The workspace has not approved the app; ask its administrator",
    "ekm_access_denied": "The workspace's administrators suspended access; ask them",
}
_PERMANENT: Final = {
    "channel_not_found": "The conversation does not exist, or the app cannot see it; invite the app",
    "not_in_channel": "The app is not in this channel; invite it",
    "is_archived": "The channel is archived",
    "user_not_found": "The person does not exist in this workspace",
    "cannot_dm_bot": "Bots cannot write to bots",
    "msg_too_long": "The message is longer than Slack allows",
    "msg_blocks_too_long": "The message is longer than Slack allows",
    "no_text": "Slack found no text in the message",
    "thread_not_found": "The thread does not exist any more",
    "message_not_found": "The message does not exist any more",
    "restricted_action": "A workspace rule keeps the app from writing here",
    "restricted_action_read_only_channel": "The channel is read-only",
    "restricted_action_thread_locked": "The thread is locked",
    "restricted_action_non_threadable_channel": "The channel does not allow threads",
    "restricted_action_thread_only_channel": "The channel allows answers in threads only",
}
_SLOW_DOWN: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_TRANSIENT: Final = frozenset({"service_unavailable", "request_timeout", "team_added_to_org"})
# Slack's own words for these: some aspect of the operation may have succeeded before the error was raised.
_AMBIGUOUS: Final = frozenset({"internal_error", "fatal_error"})
_DEFAULT_WAIT_S: Final = 30.0


def result_of(outcome: Outcome) -> dict[str, object] | SendResult:
    """Return a call's answer, or how the call failed."""
    if isinstance(outcome, NotSent):
        return Refused(ErrorClass.TRANSIENT, outcome.reason, "Slack could not be reached")
    if isinstance(outcome, Lost):
        return Unknown(f"no answer from Slack ({outcome.reason})")
    answer = outcome.json_object()
    if outcome.status == 200 and answer.get("ok") is True:
        return answer
    return _refusal(outcome, str(answer.get("error") or "")[:200])


def _refusal(outcome: Answer, error: str) -> SendResult:
    status, code = outcome.status, error or f"HTTP {outcome.status}"
    if status == 429 or error in _SLOW_DOWN:
        wait_s = outcome.retry_after_s()
        return Refused(ErrorClass.RATE_LIMITED, code, "Slack asks to slow down", wait_s or _DEFAULT_WAIT_S)
    if error in _TRANSIENT and status < 500:
        return Refused(ErrorClass.TRANSIENT, code, "Slack could not take the message just now")
    if status >= 500 or error in _AMBIGUOUS or (status < 300 and not error):
        return Unknown(f"Slack failed: {code}")
    if status < 400 and not error:
        return Refused(ErrorClass.CHANNEL_BROKEN, code, "The API address redirects; correct it")
    if error in _BROKEN or status == 401:
        words = _BROKEN.get(error, "Slack does not accept the bot token; install the app again")
        return Refused(ErrorClass.CHANNEL_BROKEN, code, words)
    return Refused(ErrorClass.PERMANENT, code, _PERMANENT.get(error, "Slack refused the message"))
