"""How Discord refuses: its error bodies, its rate limits, and what a script can name. Called by discord.py.

https://docs.discord.com/developers/topics/rate-limits and .../opcodes-and-status-codes#json.
"""

from __future__ import annotations

import time
from typing import Final

from starlette.responses import Response

from simulator.api_call import Answer, json_response
from simulator.discord_content import DiscordError
from simulator.faults import Fault
from simulator.records import Json

NAMED: Final = {
    "chat_not_found": (404, 10003, "Unknown Channel"),
    "blocked": (403, 50007, "Cannot send messages to this user"),
    "not_in_channel": (403, 50001, "Missing Access"),
    "not_enough_rights": (403, 50013, "Missing Permissions"),
    "invalid_auth": (401, 0, "401: Unauthorized"),
    "too_long": (400, 50035, "Invalid Form Body"),
    "message_gone": (404, 10008, "Unknown Message"),
    "edit_closed": (403, 50005, "Cannot edit a message authored by another user"),
    "archived": (400, 50083, "Thread is archived"),
    "slow_mode": (400, 20016, "This action cannot be performed due to slowmode rate limit."),
}
"""The errors that a script can name; `global` makes a rate limit the whole bot's."""


def response_of(answer: Answer) -> Response:
    """Return an answer as it goes over the wire."""
    return json_response(answer.body, answer.status, answer.headers)


def refusal(error: DiscordError) -> Answer:
    """Return a refusal's body."""
    return Answer({"message": str(error), "code": error.code}, error.status, error=str(error.code))


def rate_limited(wait_s: float, *, whole: bool = False) -> Answer:
    """Return a 429 with its wait; `whole`: the bot's global limit, else a bucket's."""
    body: Json = {"message": "You are being rate limited.", "retry_after": round(wait_s, 3), "global": whole}
    scope = "global" if whole else "user"
    headers = {"Retry-After": str(max(1, round(wait_s + 0.49))), "X-RateLimit-Scope": scope}
    if whole:
        return Answer(body, 429, headers | {"X-RateLimit-Global": "true"}, error="429", retry_after_s=wait_s)
    return Answer(body, 429, headers | {"X-RateLimit-Bucket": "simulated"}, error="429", retry_after_s=wait_s)


def refuse(fault: Fault) -> Answer:
    """Return what a script wants to be answered."""
    script = fault.script
    if script.kind == "rate_limited":
        return rate_limited(fault.wait_s(time.monotonic()), whole=script.error == "global")
    if script.kind == "server_error":
        return Answer({"message": "500: Internal Server Error", "code": 0}, script.status, error="500")
    if script.error.isdecimal():
        return refusal(DiscordError(400, int(script.error), "scripted"))
    return refusal(DiscordError(*NAMED.get(script.error, NAMED["chat_not_found"])))
