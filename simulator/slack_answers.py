"""How Slack answers: success, refusals with HTTP 200, the 429, and what scripts can name. Called by slack.py."""

from __future__ import annotations

import math
import time
from typing import Final

from simulator.api_call import Answer
from simulator.faults import Fault
from simulator.records import Json, Message
from simulator.slack_text import SlackError

_NAMED: Final = {
    "blocked": "cannot_dm_bot",
    "bad_markup": "invalid_blocks",
    "too_long": "msg_too_long",
    "message_gone": "message_not_found",
    "edit_closed": "edit_window_closed",
}


def ok(fields: Json, message: Message | None = None) -> Answer:
    """Return the success; `message` is what was stored or changed."""
    return Answer({"ok": True} | fields, accepted=message is not None, message_id=message.id if message else None)


def refusal(error: SlackError) -> Answer:
    """Return a refusal: HTTP 200 and `ok: false`."""
    body: Json = {"ok": False, "error": error.code}
    if error.details is not None:
        body["response_metadata"] = {"messages": [f"[ERROR] {error.details}"]}
    return Answer(body, error=error.code)


def rate_limited(wait_s: float) -> Answer:
    """Return the 429 that names the wait in whole seconds."""
    seconds = max(1, math.ceil(wait_s))
    body: Json = {"ok": False, "error": "ratelimited"}
    return Answer(body, 429, {"Retry-After": str(seconds)}, error="ratelimited", retry_after_s=float(seconds))


def refuse(fault: Fault) -> Answer:
    """Return what a scripted fault says instead of doing the call."""
    script = fault.script
    if script.kind == "rate_limited":
        return rate_limited(fault.wait_s(time.monotonic()))
    if script.kind == "server_error":
        return Answer({"ok": False, "error": "internal_error"}, script.status, error="internal_error")
    return refusal(SlackError(_NAMED.get(script.error, script.error)))
