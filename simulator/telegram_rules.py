"""What Telegram's methods check, and the words in which the server refuses. Called by telegram.py.

https://core.telegram.org/bots/api#making-requests; platforms.md §2.5; descriptions as in tdlib/telegram-bot-api, Client.cpp.
The text limit is applied in UTF-16 units, the strictest reading of "4096 characters after entities parsing".
"""

from __future__ import annotations

import math
import re
import time
from typing import Final, cast

from starlette.responses import Response

from simulator.api_call import Answer, json_response
from simulator.args import Args
from simulator.channel import Channel
from simulator.faults import Fault
from simulator.records import Chat, Json, Message
from simulator.telegram_html import MarkupError, Parsed, parse_html, utf16_length
from simulator.telegram_markdown import parse_markdown
from simulator.telegram_wire import text_entities

_TEXT_MAX: Final = 4096
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
NAMED: Final = {
    "chat_not_found": (400, "Bad Request: chat not found"),
    "blocked": (403, "Forbidden: bot was blocked by the user"),
    "kicked": (403, "Forbidden: bot was kicked from the supergroup chat"),
    "not_in_channel": (403, "Forbidden: bot is not a member of the channel chat"),
    "deactivated": (403, "Forbidden: user is deactivated"),
    "invalid_auth": (401, "Unauthorized"),
    "bad_markup": (400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0'),
    "too_long": (400, "Bad Request: message is too long"),
    "thread_not_found": (400, "Bad Request: message thread not found"),
    "reply_not_found": (400, "Bad Request: message to be replied not found"),
    "not_enough_rights": (400, "Bad Request: not enough rights to send text messages to the chat"),
    "message_gone": (400, "Bad Request: message to edit not found"),
    "edit_closed": (400, "Bad Request: message can't be edited"),
    "conflict": (
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    ),
}
"""The errors that a script can name."""


class RefusedError(Exception):
    """The server's refusal."""

    def __init__(self, code: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def known_thread(channel: Channel, chat: Chat, args: Args) -> str | None:
    """Return the topic that the call names. Raises RefusedError where the chat has none such."""
    thread = args.number("message_thread_id")
    if thread is None:
        return None
    if str(thread) not in chat.threads and not channel.knows_message(chat.id, str(thread)):
        raise RefusedError(400, "Bad Request: message thread not found")
    return str(thread)


def known_reply(channel: Channel, chat: Chat, args: Args) -> str | None:
    """Return the message replied to; a missing one is dropped where the call allows it. Raises RefusedError."""
    reply = Args(args.object("reply_parameters") or {})
    wanted = reply.number("message_id") or args.number("reply_to_message_id")
    if wanted is None:
        return None
    if channel.knows_message(chat.id, str(wanted)):
        return str(wanted)
    if reply.flag("allow_sending_without_reply") or args.flag("allow_sending_without_reply"):
        return None
    raise RefusedError(400, "Bad Request: message to be replied not found")


def read_text(args: Args, name: str = "text", most: int = _TEXT_MAX) -> Parsed:
    """Return the visible text, or a file's caption, and its entities. Raises RefusedError for bad markup, no text or too much."""
    source = _CONTROL.sub(" ", args.text(name) or "")
    mode = (args.text("parse_mode") or "").lower()
    try:
        if mode == "html":
            parsed = parse_html(source)
        elif mode == "markdownv2":
            parsed = parse_markdown(source)
        elif mode in {"", "none"}:
            given = [cast("Json", entity) for entity in args.items("entities") or [] if isinstance(entity, dict)]
            parsed = Parsed(source, given or text_entities(source))
        else:
            raise RefusedError(400, "Bad Request: unsupported parse_mode")
    except MarkupError as error:
        raise RefusedError(400, f"Bad Request: can't parse entities: {error}") from error
    parsed.text = parsed.text.rstrip()
    if not parsed.text and name == "text":
        raise RefusedError(400, "Bad Request: message text is empty")
    if utf16_length(parsed.text) > most:
        raise RefusedError(400, f"Bad Request: message {'is' if name == 'text' else 'caption is'} too long")
    return parsed


def ok(result: object, message: Message | None = None, description: str | None = None) -> Answer:
    """Return the success; `message` is what was stored or changed."""
    body: Json = {"ok": True, "result": result}
    if description is not None:
        body["description"] = description
    return Answer(body, accepted=message is not None, message_id=message.id if message else None)


def flood_error(wait_s: int) -> RefusedError:
    """Return the 429 that names the wait in whole seconds."""
    return RefusedError(429, f"Too Many Requests: retry after {wait_s}", {"retry_after": wait_s})


def refusal(refused: RefusedError) -> Answer:
    """Return the refusal as the server words it."""
    body: Json = {"ok": False, "error_code": refused.code, "description": refused.description}
    answer = Answer(body, refused.code, error=refused.description)
    if refused.parameters is not None:
        body["parameters"] = refused.parameters
        wait = refused.parameters.get("retry_after")
        answer.retry_after_s = float(wait) if isinstance(wait, int) else None
        if isinstance(wait, int):
            answer.headers["Retry-After"] = str(wait)
    return answer


def refusal_response(code: int, description: str) -> Response:
    """Return a refusal that happens before any call is known."""
    answer = refusal(RefusedError(code, description))
    return json_response(answer.body, answer.status)


def refuse(fault: Fault) -> Answer:
    """Return what a scripted fault says instead of doing the call."""
    script = fault.script
    if script.kind == "rate_limited":
        return refusal(flood_error(max(1, math.ceil(fault.wait_s(time.monotonic())))))
    if script.kind == "server_error":
        return refusal(RefusedError(script.status, "Internal Server Error"))
    code, description = NAMED.get(script.error, (400, f"Bad Request: {script.error}"))
    return refusal(RefusedError(code, description))
