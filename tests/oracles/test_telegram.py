"""aiogram, whose models are made from Telegram's own reference, reads our recorded updates, and reads them as we do."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx2
import pytest

from adapters.registry import Platforms
from domain.message import EventKind
from tests.contract.cases import CASES, Fixture, fixtures
from tests.oracles.support import ask

UPDATES = {one.name: one for one in fixtures() if one.platform == "telegram"}
MADE_UP = {
    "huge_ids": {"message.date"},
    "message_without_chat": {"message.date", "message.chat"},
    "odd_optional_field": {"message.date", "message.entities"},
    "unknown_kind": {"UpdateTypeLookupError"},
}
"""What no Bot API sends, and what aiogram says of it: we take in even these."""
ADAPTER = Platforms(httpx2.AsyncClient(trust_env=False)).get("telegram")


@cache
def read() -> dict[str, Any]:
    return ask("aiogram_reads.py", {name: one.data["body"] for name, one in UPDATES.items()})


class TestUpdates:
    def test_everything_but_what_is_made_up_is_what_telegram_sends(self) -> None:
        refused = {name: set(found["error"]) for name, found in read().items() if "error" in found}
        assert refused == MADE_UP

    @pytest.mark.parametrize("fixture", UPDATES.values(), ids=lambda one: one.name)
    def test_both_read_the_same(self, fixture: Fixture) -> None:
        theirs = read()[fixture.name]
        (event,) = ADAPTER.parse(fixture.request(), CASES["telegram"].channel(**fixture.data.get("channel", {}))).events
        if "update_id" in theirs:
            assert event.dedup_key == f"u:{theirs['update_id']}"
        if theirs.get("kind") not in {"message", "edited_message", "channel_post", "business_message"}:
            return
        assert event.message_id == str(theirs["message_id"])
        assert event.reply_to.chat == str(theirs["chat"])
        assert event.reply_to.thread == (str(theirs["topic"]) if theirs["topic"] else None)
        assert int(event.occurred_at.timestamp()) == theirs["date"] or event.kind is EventKind.EDIT
        if theirs["text"] is not None and event.kind is not EventKind.SYSTEM:
            # Ours may be without halves of characters, and a command's without the bot's name.
            assert event.text == theirs["text"] or fixture.name in {
                "text_nul_and_lone_surrogate",
                "command_with_our_name",
            }
