"""Telegram's calls, one transcript each."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest

from adapters.base import (
    Accepted,
    CannotTell,
    ErrorClass,
    Indication,
    LookupRequest,
    PlatformAdapter,
    Refused,
    RenderedPart,
    SendRequest,
)
from adapters.registry import Platforms
from domain.errors import InvalidInputError, UnavailableError
from domain.message import Attachment, MessageType, ReplyAddress
from tests.adapters.support import Drop, FakeServer, Reply, downloaded
from tests.contract.cases import CASES

CASE = CASES["telegram"]
CHANNEL = CASE.channel()
OK = Reply(200, CASE.accepted)
URL = "https://powernode.example/api/v1/chat/webhooks/abc"


def result(value: object) -> Reply:
    return Reply(200, {"ok": True, "result": value})


def refusal(status: int, description: str, **parameters: int) -> Reply:
    return Reply(status, {"ok": False, "error_code": status, "description": description, "parameters": parameters})


@pytest.fixture
def telegram(http: httpx2.AsyncClient, server: FakeServer) -> PlatformAdapter:
    return Platforms(http, {"telegram": server.origin + "/"}).get("telegram")


def request(calls: list[int] | None = None) -> SendRequest:
    seen = calls if calls is not None else []
    address = ReplyAddress("-1001234567890", "42", "10")
    return SendRequest(address, RenderedPart("<b>hi</b>", "hi"), "n", lambda: seen.append(1))


class TestSend:
    async def test_transcript(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        server.will(OK)
        assert await telegram.send(CHANNEL, request()) == Accepted("77")
        (received,) = server.received
        assert (received.method, received.target) == ("POST", "/bot7000000001:AAtest-token/sendMessage")
        assert received.json == {
            "chat_id": -1001234567890,
            "text": "<b>hi</b>",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
            "message_thread_id": 42,
            "reply_parameters": {"message_id": 10, "allow_sending_without_reply": True},
        }

    async def test_a_moved_group_gets_it_at_its_new_id(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        server.will(
            refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-100999), OK
        )
        calls: list[int] = []
        assert await telegram.send(CHANNEL, request(calls)) == Accepted("77")
        assert [one.json["chat_id"] for one in server.received] == [-1001234567890, -100999]
        assert len(calls) == 2, "each request asks whether the claim still holds"

    @pytest.mark.parametrize(
        ("description", "dropped"),
        [("message thread not found", "message_thread_id"), ("message to be replied not found", "reply_parameters")],
    )
    async def test_what_vanished_is_left_out(
        self, telegram: PlatformAdapter, server: FakeServer, description: str, dropped: str
    ) -> None:
        server.will(refusal(400, f"Bad Request: {description}"), OK)
        assert await telegram.send(CHANNEL, request()) == Accepted("77")
        assert dropped in server.received[0].json
        assert dropped not in server.received[1].json

    async def test_corrects_once_only(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        server.will(refusal(400, "Bad Request: message thread not found"))
        refused = await telegram.send(CHANNEL, request())
        assert isinstance(refused, Refused)
        assert (refused.error_class, len(server.received)) == (ErrorClass.PERMANENT, 2)


class TestLookup:
    async def test_cannot_tell(self, telegram: PlatformAdapter) -> None:
        asked = LookupRequest(ReplyAddress("1"), "n", datetime.now(UTC))
        assert isinstance(await telegram.lookup(CHANNEL, asked), CannotTell)


class TestIndicate:
    async def test_typing(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        server.will(result(True))
        await telegram.indicate(CHANNEL, ReplyAddress("5", "7"), Indication.TYPING)
        assert server.received[0].target.endswith("/sendChatAction")
        assert server.received[0].json == {"chat_id": 5, "action": "typing", "message_thread_id": 7}

    async def test_there_are_no_read_marks_and_failing_is_no_error(
        self, telegram: PlatformAdapter, server: FakeServer
    ) -> None:
        server.will(Drop())
        await telegram.indicate(CHANNEL, ReplyAddress("5"), Indication.READ)
        assert server.received == []
        await telegram.indicate(CHANNEL, ReplyAddress("5"), Indication.TYPING)
        assert len(server.received) == 1


class TestLocateMedia:
    photo = Attachment(MessageType.IMAGE, "file-1", "image/jpeg")

    async def test_in_two_steps(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        server.will(result({"file_id": "file-1", "file_path": "photos/a b.jpg"}), Reply(200, b"bytes"))
        media = await telegram.locate_media(CHANNEL, self.photo)
        assert await downloaded(server.origin, media) == b"bytes"
        assert media.mime_type == "image/jpeg"
        assert server.received[1].target == "/file/bot7000000001:AAtest-token/photos/a%20b.jpg"

    @pytest.mark.parametrize("line", [refusal(400, "Bad Request: file is too big"), result({"file_id": "x"})])
    async def test_what_is_not_handed_out(self, telegram: PlatformAdapter, server: FakeServer, line: Reply) -> None:
        server.will(line)
        with pytest.raises(InvalidInputError):
            await telegram.locate_media(CHANNEL, self.photo)

    @pytest.mark.parametrize("second", [Drop(), Reply(500, b"")])
    async def test_what_fails_now(self, telegram: PlatformAdapter, server: FakeServer, second: Reply | Drop) -> None:
        server.will(result({"file_path": "a"}), second)
        with pytest.raises(UnavailableError):
            await downloaded(server.origin, await telegram.locate_media(CHANNEL, self.photo))


ME = {
    "id": 7000000001,
    "is_bot": True,
    "first_name": "P",
    "username": "powernode_bot",
    "can_read_all_group_messages": False,
}


class TestCheck:
    async def test_registers_the_webhook(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        server.will(result(ME), result(True), result({"url": URL, "pending_update_count": 0}))
        found = await telegram.check(CHANNEL, URL)
        assert (found.ok, found.problems) == (True, ())
        assert found.identity == {"id": "7000000001", "username": "powernode_bot", "first_name": "P"}
        wanted = server.received[1].json
        assert (wanted["url"], wanted["secret_token"]) == (URL, "Secret_token-1")
        assert wanted["allowed_updates"] == [
            "message",
            "edited_message",
            "callback_query",
            "message_reaction",
            "my_chat_member",
        ]

    async def test_without_an_address_only_asks(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        server.will(result(ME))
        assert (
            (await telegram.check(CASE.channel(configuration={"groups": "all"}), None))
            .problems[0]
            .startswith("Privacy")
        )
        assert len(server.received) == 1

    async def test_a_wrong_token(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        server.will(refusal(401, "Unauthorized"))
        found = await telegram.check(CHANNEL, URL)
        assert not found.ok
        assert "@BotFather" in found.problems[0]

    async def test_problems_are_told_in_words(self, telegram: PlatformAdapter, server: FakeServer) -> None:
        info = {"url": URL, "last_error_message": "Connection refused", "pending_update_count": 3}
        server.will(result(ME), result(True), result(info))
        found = await telegram.check(CHANNEL, URL)
        assert (found.ok, found.problems) == (
            True,
            ("Telegram's last delivery failed: Connection refused (3 updates wait)",),
        )
        server.will(result(ME), result(True), result({"url": "https://other.example"}))
        assert "another address" in (await telegram.check(CHANNEL, URL)).problems[0]
        server.will(result(ME), refusal(400, "Bad Request: bad webhook: HTTPS url must be provided"))
        found = await telegram.check(CHANNEL, URL)
        assert not found.ok
        assert "HTTPS url must be provided" in found.problems[0]
