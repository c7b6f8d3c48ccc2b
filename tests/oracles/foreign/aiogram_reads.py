"""Reads Telegram updates with aiogram. JSON on standard input, {name: update}; on standard output what it made of each.

Run by the interpreter of .venv-oracles, which has none of our packages; see tests/oracles/test_telegram.py.
"""

from __future__ import annotations

import json
import sys

from aiogram.types import CallbackQuery, Message, Update
from pydantic import ValidationError


def read(body: object) -> dict[str, object]:
    """Return the fields that both sides know, or the error."""
    try:
        update = Update.model_validate(body)
    except ValidationError as error:
        return {"error": [".".join(map(str, one["loc"])) for one in error.errors()]}
    try:
        kind = update.event_type
    except Exception as error:  # noqa: BLE001 - aiogram's own error for a kind that it does not know
        return {"update_id": update.update_id, "kind": None, "error": [type(error).__name__]}
    found: dict[str, object] = {"update_id": update.update_id, "kind": kind}
    if isinstance(update.event, Message):
        found |= message(update.event)
    if isinstance(update.event, CallbackQuery):
        found |= {"data": update.event.data, "from": update.event.from_user.id}
    return found


def message(one: Message) -> dict[str, object]:
    """Return a message's fields."""
    return {
        "message_id": one.message_id,
        "chat": one.chat.id,
        "topic": one.message_thread_id if one.is_topic_message else None,
        "from": one.from_user.id if one.from_user else None,
        "is_bot": one.from_user.is_bot if one.from_user else None,
        "text": one.text or one.caption,
        "date": int(one.date.timestamp()),
        "content": str(one.content_type),
        "mentions": [entity.extract_from(one.text or "") for entity in one.entities or [] if entity.type == "mention"],
    }


def main() -> None:
    """Read all."""
    updates = json.load(sys.stdin)
    json.dump({name: read(body) for name, body in updates.items()}, sys.stdout)


if __name__ == "__main__":
    main()
