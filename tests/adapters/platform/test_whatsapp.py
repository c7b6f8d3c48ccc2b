"""WhatsApp's calls, one transcript each, and the handshake."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx2
import pytest

from adapters.base import (
    Accepted,
    CannotTell,
    ChannelContext,
    ErrorClass,
    Indication,
    LookupRequest,
    PlatformAdapter,
    Refused,
    RenderedPart,
    SendRequest,
    WebhookRequest,
)
from adapters.registry import Platforms
from domain.errors import InvalidInputError, SignatureError, UnavailableError
from domain.message import Attachment, MessageType, ReplyAddress
from tests.adapters.support import Drop, FakeServer, Reply, downloaded
from tests.contract.cases import CASES, NOW

CASE = CASES["whatsapp"]
CHANNEL = CASE.channel()
OK = Reply(200, CASE.accepted)
URL = "https://powernode.example/api/v1/chat/webhooks/abc"
PHONE = "/v23.0/106540352242922"


@pytest.fixture
def whatsapp(http: httpx2.AsyncClient, server: FakeServer) -> PlatformAdapter:
    return Platforms(http, {"whatsapp": server.origin}).get("whatsapp")


def request(address: ReplyAddress, *, as_plain: bool = False) -> SendRequest:
    return SendRequest(address, RenderedPart("*hi*", "hi"), "nonce-1", lambda: None, as_plain=as_plain)


def error(status: int, code: int, **more: object) -> Reply:
    return Reply(status, {"error": {"message": "(#1) x", "type": "OAuthException", "code": code, **more}})


class TestHandshake:
    def ask(self, adapter: PlatformAdapter, **query: str) -> bytes:
        given = WebhookRequest("GET", {}, {name.replace("_", ".", 1): value for name, value in query.items()}, b"")
        adapter.verify(given, CHANNEL, NOW)
        reply = adapter.parse(given, CHANNEL).reply
        assert reply is not None
        assert reply.content_type == "text/plain"
        return reply.body

    def test_the_challenge_comes_back(self, whatsapp: PlatformAdapter) -> None:
        answer = self.ask(whatsapp, hub_mode="subscribe", hub_verify_token="my-verify-token", hub_challenge="123")
        assert answer == b"123"

    @pytest.mark.parametrize(
        "query",
        [
            {"hub_mode": "subscribe", "hub_challenge": "1"},
            {"hub_mode": "subscribe", "hub_challenge": "1", "hub_verify_token": "My-verify-token"},
            {"hub_mode": "subscribe", "hub_challenge": "1", "hub_verify_token": "\ud800"},
            {"hub_mode": "unsubscribe", "hub_challenge": "1", "hub_verify_token": "my-verify-token"},
            {"hub_mode": "subscribe", "hub_verify_token": "my-verify-token"},
        ],
    )
    def test_anything_else_is_refused(self, whatsapp: PlatformAdapter, query: dict[str, str]) -> None:
        with pytest.raises(SignatureError):
            self.ask(whatsapp, **query)

    def test_a_channel_without_a_token_takes_none(self, whatsapp: PlatformAdapter) -> None:
        bare = ChannelContext("c", {**CASE.credentials, "verify_token": ""})
        query = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}
        with pytest.raises(SignatureError):
            whatsapp.verify(WebhookRequest("GET", {}, query, b""), bare, NOW)


class TestSend:
    async def test_transcript(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(OK)
        address = ReplyAddress("16505551234", None, "wamid.A1")
        assert await whatsapp.send(CHANNEL, request(address)) == Accepted("wamid.OUT1")
        (received,) = server.received
        assert (received.method, received.target) == ("POST", f"{PHONE}/messages")
        assert received.headers["authorization"] == "Bearer EAAtest"
        assert received.json == {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "16505551234",
            "type": "text",
            "text": {"body": "*hi*", "preview_url": False},
            "context": {"message_id": "wamid.A1"},
            "biz_opaque_callback_data": "nonce-1",
        }

    @pytest.mark.parametrize(
        ("chat", "fields"),
        [
            ("US.13491208655302741918", {"recipient": "US.13491208655302741918", "recipient_type": "individual"}),
            ("US.ENT.11815799212886844830", {"recipient": "US.ENT.11815799212886844830"}),
            ("Y2FwaV9ncm91cDox", {"to": "Y2FwaV9ncm91cDox", "recipient_type": "group"}),
        ],
    )
    async def test_whom_it_goes_to(
        self, whatsapp: PlatformAdapter, server: FakeServer, chat: str, fields: dict[str, str]
    ) -> None:
        server.will(OK)
        await whatsapp.send(CHANNEL, request(ReplyAddress(chat)))
        sent = server.received[0].json
        assert fields.items() <= sent.items()
        assert "context" not in sent
        assert ("to" in sent) is not ("recipient" in sent)

    async def test_a_window_that_closed_is_told_in_words(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(error(400, 131047, error_data={"details": "x"}))
        refused = await whatsapp.send(CHANNEL, request(ReplyAddress("1")))
        assert isinstance(refused, Refused)
        assert (refused.error_class, refused.code) == (ErrorClass.WINDOW_CLOSED, "131047")
        assert "24 hours" in refused.message

    async def test_the_wait_is_read_from_the_usage_report(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        usage = {"1": [{"type": "messages", "call_count": 100, "estimated_time_to_regain_access": 4}, "odd"], "2": 1}
        server.will(Reply(400, {"error": {"code": 80007}}, {"X-Business-Use-Case-Usage": json.dumps(usage)}))
        refused = await whatsapp.send(CHANNEL, request(ReplyAddress("1")))
        assert isinstance(refused, Refused)
        assert (refused.error_class, refused.retry_after_s) == (ErrorClass.RATE_LIMITED, 240.0)


class TestLookup:
    async def test_cannot_tell(self, whatsapp: PlatformAdapter) -> None:
        asked = LookupRequest(ReplyAddress("1"), "n", datetime.now(UTC))
        assert isinstance(await whatsapp.lookup(CHANNEL, asked), CannotTell)


class TestIndicate:
    async def test_one_call_does_both(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, {"success": True}))
        await whatsapp.indicate(CHANNEL, ReplyAddress("1", None, "wamid.A1"), Indication.TYPING)
        await whatsapp.indicate(CHANNEL, ReplyAddress("1", None, "wamid.A1"), Indication.READ)
        read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A1"}
        assert [one.json for one in server.received] == [{**read, "typing_indicator": {"type": "text"}}, read]

    async def test_without_a_message_there_is_nothing_to_show(
        self, whatsapp: PlatformAdapter, server: FakeServer
    ) -> None:
        await whatsapp.indicate(CHANNEL, ReplyAddress("1"), Indication.TYPING)
        assert server.received == []


class TestLocateMedia:
    photo = Attachment(MessageType.IMAGE, "1003", "image/jpeg")

    async def test_in_two_steps(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, {"url": f"{server.origin}/file", "mime_type": "image/jpeg"}), Reply(200, b"bytes"))
        media = await whatsapp.locate_media(CHANNEL, self.photo)
        assert await downloaded(server.origin, media) == b"bytes"
        assert media.mime_type == "image/jpeg"
        assert server.received[0].target == "/v23.0/1003?phone_number_id=106540352242922"
        assert server.received[1].headers["authorization"] == "Bearer EAAtest"

    @pytest.mark.parametrize("url", ["http://169.254.169.254/x", "https://lookaside.fbsbx.com.evil.test/x", "x", None])
    async def test_the_token_goes_nowhere_else(
        self, whatsapp: PlatformAdapter, server: FakeServer, url: str | None
    ) -> None:
        server.will(Reply(200, {"url": url}))
        with pytest.raises(InvalidInputError):
            await whatsapp.locate_media(CHANNEL, self.photo)
        assert len(server.received) == 1

    async def test_what_fails_now_or_for_good(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(Drop())
        with pytest.raises(UnavailableError):
            await whatsapp.locate_media(CHANNEL, self.photo)
        server.will(error(400, 131052))
        with pytest.raises(InvalidInputError):
            await whatsapp.locate_media(CHANNEL, self.photo)


ME = {
    "id": "106540352242922",
    "display_phone_number": "+1 555-078-3881",
    "verified_name": "Shop",
    "code_verification_status": "VERIFIED",
}


class TestCheck:
    async def test_registers_the_numbers_own_address(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, ME), Reply(200, {"success": True}))
        found = await whatsapp.check(CHANNEL, URL)
        assert (found.ok, found.problems) == (True, ())
        assert found.identity == {name: ME[name] for name in ("id", "display_phone_number", "verified_name")}
        asked, wanted = server.received
        assert (asked.method, asked.target.partition("?")[0]) == ("GET", PHONE)
        assert (wanted.method, wanted.target) == ("POST", PHONE)
        override = {"override_callback_uri": URL, "verify_token": "my-verify-token"}
        assert wanted.json == {"webhook_configuration": override}

    async def test_what_could_not_be_registered_is_told(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, {**ME, "code_verification_status": "EXPIRED"}), error(403, 200))
        found = await whatsapp.check(CHANNEL, URL)
        assert found.ok
        assert ["not verified" in found.problems[0], "by hand" in found.problems[1]] == [True, True]

    async def test_a_wrong_token_or_number(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(error(401, 190))
        found = await whatsapp.check(CHANNEL, URL)
        assert (found.ok, "access token" in found.problems[0]) == (False, True)
        server.will(error(400, 100, error_subcode=33))
        found = await whatsapp.check(CHANNEL, None)
        assert (found.ok, "phone number id" in found.problems[0]) == (False, True)

    async def test_a_missing_secret(self, whatsapp: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, ME))
        bare = ChannelContext("c", {**CASE.credentials, "app_secret": "", "verify_token": ""})
        found = await whatsapp.check(bare, URL)
        assert (found.ok, len(found.problems), len(server.received)) == (False, 2, 1)
