"""Reading back: conversations.history and conversations.replies, with bounds, pages and metadata.

https://docs.slack.dev/reference/methods/conversations.history and .replies; platforms.md §4.5: metadata comes only with
`include_all_metadata`; history is newest first and leaves replies out, replies are oldest first and begin with the root.
Pure reading; called by slack.py.
"""

from __future__ import annotations

import base64
from typing import Final

from simulator.args import Args
from simulator.channel import Channel
from simulator.records import Chat, Json, Message
from simulator.slack_text import SlackError
from simulator.slack_wire import message_object, root_object

_CURSOR: Final = "next_ts:"


def history(channel: Channel, chat: Chat, args: Args) -> Json:
    """Return one page of a conversation."""
    shown = [message for message in _bounded(channel, chat, args) if message.thread in {None, message.id}]
    shown.reverse()
    cursor = _cursor(args)
    if cursor is not None:
        shown = [message for message in shown if float(message.id) <= cursor]
    page, more = _page(shown, args, 100)
    metadata = args.flag("include_all_metadata")
    found: Json = {"messages": [root_object(channel, message, metadata=metadata) for message in page]}
    return found | more


def replies(channel: Channel, chat: Chat, args: Args) -> Json:
    """Return one page of a thread. Raises SlackError."""
    ts = args.text("ts") or ""
    root = channel.message(chat.id, ts)
    if root is None:
        raise SlackError("thread_not_found")
    found = [message for message in _bounded(channel, chat, args) if message.thread == ts and message.id != ts]
    cursor = _cursor(args)
    shown = [root, *found] if cursor is None else [message for message in found if float(message.id) >= cursor]
    page, more = _page(shown, args, 1000)
    metadata = args.flag("include_all_metadata")
    messages = [
        (root_object if message is root else message_object)(channel, message, metadata=metadata) for message in page
    ]
    answer: Json = {"messages": messages}
    return answer | more


def _bounded(channel: Channel, chat: Chat, args: Args) -> list[Message]:
    """Return the messages between `oldest` and `latest`, oldest first."""
    oldest, latest = float(args.text("oldest") or 0), float(args.text("latest") or "inf")
    inclusive = args.flag("inclusive")
    found: list[Message] = []
    for message in channel.messages[chat.id].values():
        ts = float(message.id)
        if not message.deleted and (oldest < ts < latest or (inclusive and ts in {oldest, latest})):
            found.append(message)
    found.sort(key=lambda message: float(message.id))
    return found


def _cursor(args: Args) -> float | None:
    given = args.text("cursor")
    if not given:
        return None
    try:
        text = base64.b64decode(given, validate=True).decode()
        return float(text.removeprefix(_CURSOR))
    except ValueError as error:
        raise SlackError("invalid_cursor") from error


def _page(shown: list[Message], args: Args, usual: int) -> tuple[list[Message], Json]:
    limit = min(max(args.number("limit") or usual, 1), 999)
    rest = shown[limit:]
    if not rest:
        return shown, {"has_more": False}
    cursor = base64.b64encode(f"{_CURSOR}{rest[0].id}".encode()).decode()
    return shown[:limit], {"has_more": True, "response_metadata": {"next_cursor": cursor}}
