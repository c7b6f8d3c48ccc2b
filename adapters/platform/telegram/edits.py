"""Changing, deleting and drafting messages, and how often the bot may speak. Called by the adapter.

https://core.telegram.org/bots/api#editmessagetext, #deletemessage (48 hours), #sendmessagedraft (all bots since Bot API 9.5, in
private chats only; it goes by itself after 30 seconds). Rates: https://core.telegram.org/bots/faq, "My bot is hitting limits".
"""

from __future__ import annotations

import hashlib
from typing import Final

from adapters.base import Accepted, EditRequest, ErrorClass, Refused, SendRequest, SendResult
from adapters.capabilities import Preview
from adapters.http import Outcome
from adapters.limits import Scope, SendRule, Verb
from adapters.platform.telegram.errors import result_of
from adapters.platform.telegram.sending import number
from domain.message import ReplyAddress

_SAME: Final = "message is not modified"
_GONE: Final = ("message to edit not found", "message can't be edited", "message_id_invalid")
_DELETED: Final = ("message to delete not found", "message_id_invalid")
_LEFT: Final = "message can't be deleted"
_MESSAGES: Final = frozenset({Verb.SEND, Verb.EDIT})


def is_group(chat: str) -> bool:
    """Whether a chat's id is one of a group; people's are positive."""
    return chat.startswith("-")


def preview_in(chat: str) -> Preview:
    """Say how a growing reply is shown: as a draft. A group has none, and a placeholder whose answer was lost could not be
    found again there.
    """
    return Preview.NONE if is_group(chat) else Preview.DRAFTS


RULES: Final = (
    SendRule("bot", 30, 1, 30, Scope.BOT),
    SendRule("chat", 1, 1, 3, Scope.CHAT, _MESSAGES),
    # 20 in any minute: what comes at once and what the minute adds.
    SendRule("group", 16, 60, 4, Scope.CHAT, _MESSAGES, is_group),
)
"""Edits count as messages do (tdlib/telegram-bot-api); what a chat is shown for seconds is no message there."""


def edit_payload(request: EditRequest) -> dict[str, object]:
    """Return the arguments of `editMessageText`."""
    payload: dict[str, object] = {
        "chat_id": number(request.address.chat),
        "message_id": number(request.message_id),
        "text": request.text,
        "link_preview_options": {"is_disabled": True},
    }
    return payload if request.as_plain else payload | {"parse_mode": "HTML"}


def edited(outcome: Outcome, message_id: str) -> SendResult:
    """Tell how an edit ended. Saying the same again is refused in words, and done."""
    answer = result_of(outcome)
    if isinstance(answer, dict):
        return Accepted(message_id)
    if isinstance(answer, Refused):
        said = answer.code.lower()
        if _SAME in said:
            return Accepted(message_id)
        if any(words in said for words in _GONE):
            return Refused(ErrorClass.GONE, answer.code, "The message is not there any more, or too old to be changed")
    return answer


def delete_payload(address: ReplyAddress, message_id: str) -> dict[str, object]:
    """Return the arguments of `deleteMessage`."""
    return {"chat_id": number(address.chat), "message_id": number(message_id)}


def deleted(outcome: Outcome, message_id: str) -> SendResult:
    """Tell how a deletion ended; what is gone already is deleted."""
    answer = result_of(outcome)
    if isinstance(answer, dict):
        return Accepted(message_id)
    if isinstance(answer, Refused):
        said = answer.code.lower()
        if any(words in said for words in _DELETED):
            return Accepted(message_id)
        if _LEFT in said:
            return Refused(ErrorClass.GONE, answer.code, "The message is too old to be deleted")
    return answer


def draft_payload(request: SendRequest) -> dict[str, object]:
    """Return the arguments of `sendMessageDraft`. The same nonce is the same draft, which then grows."""
    mark = int.from_bytes(hashlib.sha256(request.nonce.encode()).digest()[:4]) >> 1
    payload: dict[str, object] = {
        "chat_id": number(request.address.chat),
        "draft_id": mark or 1,
        "text": request.part.body,
        "parse_mode": "HTML",
    }
    if request.address.thread is not None:
        payload["message_thread_id"] = number(request.address.thread)
    return payload


def drafted(outcome: Outcome) -> SendResult:
    """Tell how a draft ended: there is no message to be named."""
    answer = result_of(outcome)
    return Accepted("") if isinstance(answer, dict) else answer
