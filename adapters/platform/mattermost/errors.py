"""What Mattermost's refusals mean, and what an operator can do about each (`{id, message, status_code}`).

Ids are the server's own (server/i18n of github.com/mattermost/mattermost); texts are translated and never matched.
"""

from __future__ import annotations

import time
from typing import Final

from adapters.base import ErrorClass, Refused, SendResult, Unknown
from adapters.http import Answer, Lost, NotSent, Outcome
from adapters.platform.mattermost.site import forbidden

_PERMANENT: Final = {
    "model.post.is_valid.message_length.app_error": "The message is longer than this server allows",
    "model.post.is_valid.msg.app_error": "The message is longer than this server allows",
    "api.post.create_post.root_id.app_error": "The thread does not exist in this channel",
    "api.post.create_post.can_not_post_to_deleted.error": "The channel is archived",
    "api.post.create_post.town_square_read_only": "The channel is read-only",
    "api.context.permissions.app_error": "The bot may not write here; add it to the channel",
}
_STATUSES: Final = {
    400: "Mattermost refused the message",
    403: "The bot may not write here; add it to the channel",
    404: "The channel does not exist, or the bot cannot see it",
    413: "The message is larger than this server allows",
    501: "The server does not allow this",
}
ROOT_REFUSED: Final = "api.post.create_post.root_id.app_error"
_EPOCH: Final = 10**6
_DEFAULT_WAIT_S: Final = 30.0


def result_of(outcome: Outcome) -> dict[str, object] | SendResult:
    """Return a call's answer, or how the call failed."""
    if isinstance(outcome, NotSent) and outcome.forbidden is not None:
        return Refused(ErrorClass.CHANNEL_BROKEN, "site_url", forbidden(outcome.forbidden))
    if isinstance(outcome, NotSent):
        return Refused(ErrorClass.TRANSIENT, outcome.reason, "The Mattermost server could not be reached")
    if isinstance(outcome, Lost):
        return Unknown(f"no answer from Mattermost ({outcome.reason})")
    if outcome.status in {200, 201}:
        return outcome.json_object()
    return _refusal(outcome)


def _refusal(outcome: Answer) -> SendResult:
    status = outcome.status
    error = outcome.json_object().get("id")
    code = error[:200] if isinstance(error, str) and error else f"HTTP {status}"
    if status == 429:
        return Refused(ErrorClass.RATE_LIMITED, code, "Mattermost asks to slow down", _wait_s(outcome))
    if (status >= 500 and status != 501) or status < 300:
        # Among them "the first post with this nonce is still being saved": looking it up tells.
        return Unknown(f"Mattermost failed: {code}")
    if status < 400:
        return Refused(ErrorClass.CHANNEL_BROKEN, code, "The server's address redirects; correct it")
    if status == 401:
        words = "The server does not accept the bot's token; make a new one in the System console, Bot accounts"
        return Refused(ErrorClass.CHANNEL_BROKEN, code, words)
    if status == 404 and not isinstance(error, str):
        return Refused(ErrorClass.CHANNEL_BROKEN, code, "There is no Mattermost server at this address; correct it")
    return Refused(ErrorClass.PERMANENT, code, _PERMANENT.get(code, _STATUSES.get(status, _STATUSES[400])))


def _wait_s(outcome: Answer) -> float:
    """Return the wait that the server names: seconds in its code, a time in its documentation's example."""
    for name in ("retry-after", "x-ratelimit-reset"):
        value = outcome.headers.get(name, "").strip()
        if value.isascii() and value.isdigit() and int(value) > 0:
            number = float(value)
            return max(1.0, number - time.time()) if number > _EPOCH else number
    return _DEFAULT_WAIT_S
