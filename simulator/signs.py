"""The small signs beside messages: who types, and the ticks under what a person wrote. Pure reading of what the bot called.

Ticks: `sent`, `delivered` once the bot took the message, `read` once it said so; only where the platform shows ticks at all.
Typing ends with the bot's next message, or when the platform forgets it (platforms.md §1 to §5). Called by live.py and
control_reads.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeVar, cast

from simulator.channel import Channel
from simulator.records import Call, Json
from simulator.state import World

_T = TypeVar("_T")
_TYPING_S: Final = {"telegram": 5.0, "slack": 120.0, "discord": 10.0, "mattermost": 5.0, "whatsapp": 25.0}
_WITH_TICKS: Final = frozenset({"telegram", "whatsapp"})
_LOOKED_BACK: Final = 400


def add(world: World, channel: Channel, screen: Json) -> Json:
    """Add `typing_until` (seconds since 1970, None: nobody types) to chats and `tick` to a person's own messages."""
    calls = [call for call in _latest(world.calls.items) if call.channel == channel.name and 200 <= call.status < 300]
    taken = {
        one.message_id
        for one in _latest(world.attempts.items)
        if one.channel == channel.name and one.outcome == "acked"
    }
    read = {str(call.body.get("message_id")) for call in calls if call.body.get("status") == "read"}
    for chat in cast("list[Json]", screen["chats"]):
        messages = cast("list[Json]", chat["messages"])
        chat["typing_until"] = _typing_until(channel, str(chat["chat"]), messages, calls)
        if channel.platform in _WITH_TICKS:
            _tick(messages, taken, read)
    return screen


def _latest(items: list[_T]) -> Iterator[_T]:
    return islice(reversed(items), _LOOKED_BACK)


def _typing_until(channel: Channel, chat: str, messages: list[Json], calls: list[Call]) -> float | None:
    written = max((float(str(message["at"])) for message in messages if message["bot"]), default=0.0)
    here = {message["id"] for message in messages}
    for call in calls:
        if _types(call) and (
            call.chat == chat or call.body.get("channel_id") == chat or call.body.get("message_id") in here
        ):
            return call.at + _TYPING_S[channel.platform] if call.at > written else None
    return None


def _types(call: Call) -> bool:
    if call.method == "sendChatAction":
        return call.body.get("action") == "typing"
    if call.method == "assistant.threads.setStatus":
        return bool(call.body.get("status"))
    return call.method == "typing" or "typing_indicator" in call.body


def _tick(messages: list[Json], taken: set[str | None], read: set[str]) -> None:
    seen = False
    for message in reversed(messages):
        if message["mine"]:
            seen = seen or str(message["id"]) in read
            message["tick"] = "read" if seen else "delivered" if message["id"] in taken else "sent"
