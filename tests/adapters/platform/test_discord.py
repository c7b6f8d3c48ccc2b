"""Discord's calls, one transcript each."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest

from adapters.base import (
    Accepted,
    CannotTell,
    ChannelContext,
    Indication,
    LookupRequest,
    PlatformAdapter,
    Refused,
    RenderedPart,
    SendRequest,
)
from adapters.platform.discord import short_nonce
from adapters.registry import Platforms
from domain.errors import InvalidInputError, UnavailableError
from domain.message import Attachment, MessageType, ReplyAddress
from tests.adapters.support import Drop, FakeServer, Reply, downloaded
from tests.contract.cases import CASES

CASE = CASES["discord"]
CHANNEL = CASE.channel()
URL = "https://powernode.example/api/v1/chat/webhooks/abc"
US = CASE.identity["id"]


@pytest.fixture
def discord(http: httpx2.AsyncClient, server: FakeServer) -> PlatformAdapter:
    return Platforms(http, {"discord": server.origin}).get("discord")


def request(message: str | None = "55") -> SendRequest:
    address = ReplyAddress("700000000000000001", None, message)
    return SendRequest(address, RenderedPart("**hi**", "hi"), "part-1:g0", lambda: None)


def refusal(status: int, code: int) -> Reply:
    return Reply(status, {"message": "x", "code": code})


class TestSend:
    async def test_transcript(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, CASE.accepted))
        assert await discord.send(CHANNEL, request()) == Accepted(CASE.accepted_id)
        (received,) = server.received
        assert (received.method, received.target) == ("POST", "/api/v10/channels/700000000000000001/messages")
        assert received.headers["authorization"] == "Bot MTIz.test.token"
        assert received.headers["user-agent"].startswith("DiscordBot (")
        assert received.json == {
            "content": "**hi**",
            "nonce": short_nonce("part-1:g0"),
            "enforce_nonce": True,
            "allowed_mentions": {"parse": [], "replied_user": False},
            "flags": 4,
            "message_reference": {"message_id": "55", "fail_if_not_exists": False},
        }

    async def test_without_a_message_there_is_no_reference(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, CASE.accepted))
        await discord.send(CHANNEL, request(None))
        assert "message_reference" not in server.received[0].json

    async def test_whose_wait_it_is_is_told(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(429, {"retry_after": 1.5, "global": True}))
        told = await discord.send(CHANNEL, request())
        assert isinstance(told, Refused)
        assert (told.code, "whole bot" in told.message) == ("429 global", True)
        server.will(Reply(429, {"retry_after": 1.5}, {"X-RateLimit-Bucket": "abcd1234"}))
        told = await discord.send(CHANNEL, request())
        assert isinstance(told, Refused)
        assert (told.code, "this channel" in told.message) == ("429 abcd1234", True)


class TestShortNonce:
    def test_is_short_stable_and_its_own(self) -> None:
        found = [short_nonce(nonce) for nonce in ("a", "b", "a" * 500, "")]
        assert len(set(found)) == 4
        assert {len(nonce) for nonce in found} == {22}
        assert all(nonce.isascii() and nonce.isalnum() for nonce in found)
        assert short_nonce("a") == found[0]


class TestLookup:
    async def test_cannot_tell(self, discord: PlatformAdapter) -> None:
        asked = LookupRequest(ReplyAddress("1"), "n", datetime.now(UTC))
        assert isinstance(await discord.lookup(CHANNEL, asked), CannotTell)
        assert discord.capabilities.nonce_window_s == 120


class TestIndicate:
    async def test_typing(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(204, b""))
        await discord.indicate(CHANNEL, ReplyAddress("7"), Indication.TYPING)
        await discord.indicate(CHANNEL, ReplyAddress("7"), Indication.READ)
        assert [one.target for one in server.received] == ["/api/v10/channels/7/typing"]


class TestLocateMedia:
    file = Attachment(MessageType.IMAGE, "7/8/9", "image/png", "a.png")

    async def test_with_a_fresh_address_and_without_the_token(
        self, discord: PlatformAdapter, server: FakeServer
    ) -> None:
        files = [{"id": "1", "url": "https://x"}, {"id": "9", "url": f"{server.origin}/cdn/a.png?ex=1"}]
        server.will(Reply(200, {"id": "8", "attachments": files}), Reply(200, b"bytes"))
        media = await discord.locate_media(CHANNEL, self.file)
        assert await downloaded(server.origin, media) == b"bytes"
        assert (media.mime_type, media.filename) == ("image/png", "a.png")
        assert server.received[0].target == "/api/v10/channels/7/messages/8"
        assert "authorization" not in server.received[1].headers

    @pytest.mark.parametrize("url", ["http://169.254.169.254/x", "https://cdn.discordapp.com.evil.test/x", None])
    async def test_from_nowhere_else(self, discord: PlatformAdapter, server: FakeServer, url: str | None) -> None:
        server.will(Reply(200, {"attachments": [{"id": "9", "url": url}]}))
        with pytest.raises(InvalidInputError):
            await discord.locate_media(CHANNEL, self.file)
        assert len(server.received) == 1

    async def test_what_fails_now_or_for_good(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(Drop())
        with pytest.raises(UnavailableError):
            await discord.locate_media(CHANNEL, self.file)
        server.will(refusal(404, 10008))
        with pytest.raises(InvalidInputError):
            await discord.locate_media(CHANNEL, self.file)


ME = Reply(200, {"id": US, "username": "powernode", "bot": True})
APP = {"id": US, "verify_key": CASE.credentials["public_key"], "flags": 1 << 19}


class TestCheck:
    async def test_registers_the_address_and_the_command(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(ME, Reply(200, APP), Reply(200, APP), Reply(201, {"id": "1"}))
        found = await discord.check(CASE.channel(configuration={"command": "help"}), URL)
        assert (found.ok, found.problems) == (True, ())
        assert found.identity == {"id": US, "username": "powernode", "application_id": US}
        assert [(one.method, one.target) for one in server.received] == [
            ("GET", "/api/v10/users/@me"),
            ("GET", "/api/v10/applications/@me"),
            ("PATCH", "/api/v10/applications/@me"),
            ("POST", f"/api/v10/applications/{US}/commands"),
        ]
        assert server.received[2].json == {"interactions_endpoint_url": URL}
        assert server.received[3].json["name"] == "help"

    async def test_a_refused_address_is_told(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(ME, Reply(200, APP), refusal(400, 50035))
        found = await discord.check(CHANNEL, URL)
        assert (found.ok, "interactions address" in found.problems[0]) == (True, True)

    async def test_a_wrong_token_or_key(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(refusal(401, 0))
        assert not (await discord.check(CHANNEL, None)).ok
        server.will(ME, Reply(200, APP | {"verify_key": "0" * 64}))
        found = await discord.check(CHANNEL, None)
        assert (found.ok, "public key" in found.problems[0]) == (False, True)
        server.will(ME, Reply(200, APP))
        bare = ChannelContext("c", {"bot_token": "x"})
        assert not (await discord.check(bare, None)).ok

    async def test_a_bot_that_may_not_read(self, discord: PlatformAdapter, server: FakeServer) -> None:
        server.will(ME, Reply(200, APP | {"flags": 0}))
        found = await discord.check(CASE.channel(configuration={"transport": "socket"}), None)
        assert (found.ok, "content intent" in found.problems[0]) == (True, True)
