"""Changing and deleting messages, and how often the app may speak. Called by the adapter.

https://docs.slack.dev/reference/methods/chat.update, chat.delete. Rates: https://docs.slack.dev/apis/web-api/rate-limits: about
one message a second in a conversation, short bursts allowed; `chat.update` is of tier 3, 50 a minute for the app in a
workspace. The methods `chat.startStream` and so on are not used: they need a thread and a recipient, and end after minutes.
"""

from __future__ import annotations

from typing import Final

from adapters.base import Accepted, EditRequest, ErrorClass, Refused, SendResult
from adapters.capabilities import Preview
from adapters.http import Outcome
from adapters.limits import Scope, SendRule, Verb
from adapters.platform.slack.errors import result_of
from adapters.platform.slack.sending import metadata_of

# An edit takes 4,000 bytes after escaping, a new message ten times as much: then the text is sent anew.
_GONE: Final = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "is_inactive", "msg_too_long"}
)
_LEFT: Final = frozenset({"cant_delete_message", "compliance_exports_prevent_deletion"})

RULES: Final = (
    SendRule("chat", 1, 1, 3, Scope.CHAT, frozenset({Verb.SEND})),
    SendRule("update", 50, 60, 10, Scope.BOT, frozenset({Verb.EDIT})),
)


def preview_in(_chat: str) -> Preview:
    """Say how a growing reply is shown: by edits; the first post is found again by its nonce."""
    return Preview.EDITS


def edit_payload(request: EditRequest) -> dict[str, object]:
    """Return the arguments of `chat.update`: the nonce again, or the message could not be found by it any more."""
    payload: dict[str, object] = {
        "channel": request.address.chat,
        "ts": request.message_id,
        "text": request.text,
        "metadata": metadata_of(request.nonce),
    }
    return payload | {"parse": "none"} if request.as_plain else payload


def edited(outcome: Outcome, message_id: str) -> SendResult:
    """Tell how an edit ended."""
    answer = result_of(outcome)
    if isinstance(answer, dict):
        return Accepted(message_id)
    if isinstance(answer, Refused) and answer.code in _GONE:
        return Refused(ErrorClass.GONE, answer.code, "The message is not there any more, or may not be changed")
    return answer


def deleted(outcome: Outcome, message_id: str) -> SendResult:
    """Tell how a deletion ended; what is gone already is deleted."""
    answer = result_of(outcome)
    if isinstance(answer, dict) or (isinstance(answer, Refused) and answer.code == "message_not_found"):
        return Accepted(message_id)
    if isinstance(answer, Refused) and answer.code in _LEFT:
        return Refused(ErrorClass.GONE, answer.code, "The workspace does not let the app delete the message")
    return answer
