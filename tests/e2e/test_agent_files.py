"""An agent sends a file: a text that it writes, or one that the conversation has already."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.e2e.system import System, Talk
from tests.tenants import Wish

STORED = "SELECT count(*) FROM chat_message_attachments WHERE state = 'stored'"
REPLY = "SELECT message_type, delivery_status FROM chat_messages WHERE direction = 'outbound' ORDER BY created_at DESC LIMIT 1"
LIST = "size,price\nsmall,1 €\nlarge,2 €\n"


async def asks(talk: Talk, **arguments: Any) -> None:
    await talk.say("alice", f"/tool send_file {json.dumps(arguments, ensure_ascii=False)}")


async def sent_files(talk: Talk, person: str = "alice") -> list[dict[str, Any]]:
    """Return the bot's messages with files, as the phone shows them."""
    chats = (await talk.system.simulator.phone(talk.name, person))["chats"]
    return [one for chat in chats for one in chat["messages"] if one["bot"] and one["files"]]


async def bytes_of(system: System, message: dict[str, Any]) -> bytes:
    [file] = message["files"]
    answer = await system.http.get(f"{system.simulator.origin}{file['url']}")
    assert answer.status_code == 200
    return answer.content


@pytest.mark.parametrize("platform", ["slack", "telegram"])
class TestSendFile:
    async def test_a_text_that_it_writes(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform, Wish(tools=("send_file",)))
        await asks(talk, name="prices.csv", content=LIST, text="Here they are")
        await talk.until("SELECT count(*) FROM message_deliveries WHERE status = 'sent'", 1)
        [message] = await sent_files(talk)
        assert "Here they are" in message["text"]
        assert message["files"][0]["name"] == "prices.csv"
        assert await bytes_of(system, message) == LIST.encode()
        [row] = await talk.rows(REPLY)
        assert (row.message_type, row.delivery_status) == ("document", "sent")

    async def test_one_of_the_conversation_and_none_that_is_not_there(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform, Wish(tools=("send_file",)))
        given = {
            "name": "notes.txt",
            "content_base64": base64.b64encode(b"to be sent back").decode(),
            "kind": "document",
        }
        await talk.say("alice", "keep this", files=[given])
        await talk.replies(1)
        await talk.until(STORED, 1)
        await asks(talk, name="others.txt")
        replies = await talk.replies(2)
        assert "no stored file named 'others.txt'" in replies[1]["text"]
        await asks(talk, name="notes.txt")
        await talk.replies(3)
        [message] = await sent_files(talk)
        assert await bytes_of(system, message) == b"to be sent back"
        assert await talk.rows("SELECT 1 FROM chat_uploads") == []
