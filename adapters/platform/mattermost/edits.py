"""Changing and deleting posts, and how often the bot may speak. Called by the adapter.

https://developers.mattermost.com/api-documentation/#/operations/PatchPost, DeletePost. An administrator can limit how long posts
may be edited (`PostEditTimeLimit`) and who may edit at all. Rates: off by default; where they are on, 10 a second and 100
at once (`RateLimitSettings` of https://docs.mattermost.com/administration-guide/configure/rate-limiting-configuration-settings.html).
"""

from __future__ import annotations

from typing import Final

from adapters.base import Accepted, EditRequest, ErrorClass, Refused, SendResult, Unknown
from adapters.capabilities import Preview
from adapters.http import Answer, Outcome
from adapters.limits import Scope, SendRule
from adapters.platform.mattermost.errors import result_of

RULES: Final = (SendRule("bot", 10, 1, 100, Scope.BOT),)


def preview_in(_chat: str) -> Preview:
    """Say how a growing reply is shown: by edits; the first post is found again by its nonce."""
    return Preview.EDITS


def edit_body(request: EditRequest) -> dict[str, object]:
    """Return the body of a patch, which leaves alone what it does not name, the nonce among it."""
    return {"message": request.text}


def edited(outcome: Outcome, message_id: str) -> SendResult:
    """Tell how an edit ended: gone, or too old to be changed, is said by 404 and by refusals of the edit itself."""
    answer = result_of(outcome)
    if isinstance(answer, dict):
        return Accepted(message_id) if answer.get("id") == message_id else Unknown("The answer names no post")
    if isinstance(answer, Refused) and answer.error_class is ErrorClass.PERMANENT and _is_gone(outcome, answer.code):
        return Refused(ErrorClass.GONE, answer.code, "The post is not there any more, or may not be changed any more")
    return answer


def deleted(outcome: Outcome, message_id: str) -> SendResult:
    """Tell how a deletion ended; what is gone already is deleted."""
    answer = result_of(outcome)
    if isinstance(answer, dict):
        said = answer.get("status")
        return Accepted(message_id) if said == "OK" else Unknown("The answer does not say that it was deleted")
    if isinstance(answer, Refused) and answer.error_class is ErrorClass.PERMANENT and _status(outcome) == 404:
        return Accepted(message_id)
    return answer


def _is_gone(outcome: Outcome, code: str) -> bool:
    return _status(outcome) in {403, 404} or code.startswith(("api.post.update_post.", "api.post.patch_post."))


def _status(outcome: Outcome) -> int:
    return outcome.status if isinstance(outcome, Answer) else 0
