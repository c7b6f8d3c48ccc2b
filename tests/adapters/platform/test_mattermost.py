"""Mattermost's calls, one transcript each."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from adapters.base import (
    Absent,
    Accepted,
    CannotTell,
    ChannelContext,
    ErrorClass,
    Found,
    Indication,
    LookupRequest,
    LookupResult,
    PlatformAdapter,
    Refused,
    RenderedPart,
    SendRequest,
)
from adapters.guard import way_out
from adapters.registry import Platforms
from domain.errors import InvalidInputError, UnavailableError
from domain.message import Attachment, MessageType, ReplyAddress
from tests.adapters.support import Drop, FakeServer, Reply, downloaded
from tests.contract.cases import CASES

CASE = CASES["mattermost"]
CHANNEL = CASE.channel()
SENT = datetime(2026, 1, 1, tzinfo=UTC)
SENT_MS = int(SENT.timestamp() * 1000)
ROOT = "api.post.create_post.root_id.app_error"


@pytest.fixture
def mattermost(http: httpx2.AsyncClient, server: FakeServer) -> PlatformAdapter:
    return Platforms(http, {"mattermost": server.origin}).get("mattermost")


def request(thread: str | None = "root1", calls: list[int] | None = None) -> SendRequest:
    seen = calls if calls is not None else []
    address = ReplyAddress("channel1", thread, "post1")
    return SendRequest(address, RenderedPart("**hi**", "hi"), "nonce-1", lambda: seen.append(1))


def error(status: int, code: str) -> Reply:
    return Reply(status, {"id": code, "message": "x", "request_id": "r", "status_code": status})


class TestSend:
    async def test_transcript(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(201, CASE.accepted))
        assert await mattermost.send(CHANNEL, request()) == Accepted(CASE.accepted_id)
        (received,) = server.received
        assert (received.method, received.target) == ("POST", "/api/v4/posts")
        assert received.headers["authorization"] == "Bearer bottoken"
        assert received.json == {
            "channel_id": "channel1",
            "message": "**hi**",
            "root_id": "root1",
            "pending_post_id": "nonce-1",
            "props": {"powernode_nonce": "nonce-1"},
        }

    async def test_a_thread_named_by_its_reply_is_corrected_once(
        self, mattermost: PlatformAdapter, server: FakeServer
    ) -> None:
        server.will(error(400, ROOT), Reply(200, {"id": "reply1", "root_id": "root1"}), Reply(201, CASE.accepted))
        calls: list[int] = []
        assert await mattermost.send(CHANNEL, request("reply1", calls)) == Accepted(CASE.accepted_id)
        assert [one.target for one in server.received] == ["/api/v4/posts", "/api/v4/posts/reply1", "/api/v4/posts"]
        assert server.received[2].json["root_id"] == "root1"
        assert len(calls) == 2, "each request asks whether the claim still holds"

    async def test_a_thread_that_is_gone_stays_refused(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(error(400, ROOT), error(404, "app.post.get.app_error"))
        refused = await mattermost.send(CHANNEL, request())
        assert isinstance(refused, Refused)
        assert (refused.code, refused.error_class) == (ROOT, ErrorClass.PERMANENT)

    @pytest.mark.parametrize(
        "site",
        ["", "chat.example.org", "ftp://x.test", "http://127.0.0.1:8065", "http://[::1]/", "https://169.254.169.254",
         "http://localhost", "http://2130706433", "http://0x7f.1", "http://[::ffff:127.0.0.1]", "https://u:p@x.test",
         "http://[", "https://metadata.google.internal", "https://x.test/?a=1", "http://x.test:port", "http://10.0.0.5:8065",
         "https://192.168.1.1", "http://[fd00::1]"],
    )  # fmt: skip
    async def test_an_address_that_is_nobodys_server(self, http: httpx2.AsyncClient, site: str) -> None:
        adapter = Platforms(http).get("mattermost")
        channel = ChannelContext("c", {**CASE.credentials, "site_url": site})
        refused = await adapter.send(channel, request())
        assert isinstance(refused, Refused)
        assert refused.error_class is ErrorClass.CHANNEL_BROKEN
        assert not (await adapter.check(channel, None)).ok


class TestPrivateServer:
    """A name that leads into a private network: refused before anything is connected to, unless an operator named it."""

    @staticmethod
    def channel(server: FakeServer) -> ChannelContext:
        port = urlsplit(server.origin).port
        return ChannelContext("c", {**CASE.credentials, "site_url": f"http://chat.example.org:{port}"})

    @staticmethod
    async def inside(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async def test_nothing_is_asked_of_it(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        way = way_out(resolver=self.inside)
        adapter, channel = Platforms(http, tenants=way).get("mattermost"), self.channel(server)
        refused = await adapter.send(channel, request())
        assert isinstance(refused, Refused)
        assert (refused.error_class, refused.code) == (ErrorClass.CHANNEL_BROKEN, "site_url")
        assert "POWERNODE_ALLOWED_PRIVATE_HOSTS" in refused.message
        found = await adapter.check(channel, None)
        assert (found.ok, "POWERNODE_ALLOWED_PRIVATE_HOSTS" in found.problems[0]) == (False, True)
        await adapter.indicate(channel, ReplyAddress("channel1", None, "post1"), Indication.TYPING)
        assert server.received == []
        await way.http.aclose()

    async def test_one_that_was_named_is_reached(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(201, CASE.accepted))
        port = urlsplit(server.origin).port
        way = way_out([f"chat.example.org:{port}"], resolver=self.inside)
        adapter = Platforms(http, tenants=way).get("mattermost")
        assert await adapter.send(self.channel(server), request()) == Accepted(CASE.accepted_id)
        assert len(server.received) == 1
        await way.http.aclose()


def listed(*posts: dict[str, object]) -> Reply:
    return Reply(200, {"order": [post["id"] for post in posts], "posts": {str(post["id"]): post for post in posts}})


def post(name: str, nonce: str | None, at_ms: int = SENT_MS) -> dict[str, object]:
    return {"id": name, "create_at": at_ms, "props": {"powernode_nonce": nonce} if nonce else {}}


class TestLookup:
    async def ask(self, mattermost: PlatformAdapter) -> LookupResult:
        return await mattermost.lookup(CHANNEL, LookupRequest(ReplyAddress("channel1", "t"), "nonce-1", SENT))

    async def test_found(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(listed(post("a", None), post("b", "nonce-2"), post("c", "nonce-1")))
        assert await self.ask(mattermost) == Found("c")
        target = urlsplit(server.received[0].target)
        assert target.path == "/api/v4/channels/channel1/posts"
        assert parse_qs(target.query) == {"page": ["0"], "per_page": ["200"]}

    async def test_absent_only_when_all_was_read(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(listed(post("a", "nonce-2")))
        assert await self.ask(mattermost) == Absent()
        full = [post(f"p{number}", None) for number in range(200)]
        server.will(listed(*full))
        assert isinstance(await self.ask(mattermost), CannotTell)
        server.will(listed(*full[:-1], post("old", None, SENT_MS - 61_000)))
        assert await self.ask(mattermost) == Absent()

    @pytest.mark.parametrize("line", [Reply(200, {}), Drop(), Reply(500, b""), error(403, "x")])
    async def test_a_failed_look_up_says_nothing(
        self, mattermost: PlatformAdapter, server: FakeServer, line: Reply | Drop
    ) -> None:
        server.will(line)
        assert isinstance(await self.ask(mattermost), CannotTell)


class TestIndicate:
    async def test_typing(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, {"status": "OK"}))
        await mattermost.indicate(CHANNEL, ReplyAddress("channel1", "root1"), Indication.TYPING)
        await mattermost.indicate(CHANNEL, ReplyAddress("channel1"), Indication.READ)
        (received,) = server.received
        assert received.target == "/api/v4/users/me/typing"
        assert received.json == {"channel_id": "channel1", "parent_id": "root1"}


class TestLocateMedia:
    file = Attachment(MessageType.DOCUMENT, "file1")

    async def test_in_two_steps(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, {"id": "file1", "name": "a.txt", "mime_type": "text/plain"}), Reply(200, b"bytes"))
        media = await mattermost.locate_media(CHANNEL, self.file)
        assert await downloaded(server.origin, media) == b"bytes"
        assert (media.mime_type, media.filename) == ("text/plain", "a.txt")
        assert [one.target for one in server.received] == ["/api/v4/files/file1/info", "/api/v4/files/file1"]

    async def test_what_fails_now_or_for_good(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(Drop())
        with pytest.raises(UnavailableError):
            await mattermost.locate_media(CHANNEL, self.file)
        server.will(error(404, "app.file_info.get.app_error"))
        with pytest.raises(InvalidInputError):
            await mattermost.locate_media(CHANNEL, self.file)


ME = {"id": "ourbotid", "username": "powernode", "is_bot": True, "roles": "system_user"}


class TestCheck:
    async def test_learns_who_we_are(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, ME), Reply(200, [{"id": "team"}]))
        found = await mattermost.check(CHANNEL, "https://powernode.example/hook")
        assert (found.ok, found.problems, found.identity) == (True, (), {"id": "ourbotid", "username": "powernode"})
        assert [one.target for one in server.received] == ["/api/v4/users/me", "/api/v4/users/me/teams"]

    async def test_a_person_in_no_team(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, {**ME, "is_bot": False}), Reply(200, []))
        found = await mattermost.check(CHANNEL, None)
        assert (found.ok, len(found.problems)) == (True, 2)

    async def test_a_wrong_token_or_no_server(self, mattermost: PlatformAdapter, server: FakeServer) -> None:
        server.will(error(401, "api.context.session_expired.app_error"))
        assert not (await mattermost.check(CHANNEL, None)).ok
        server.will(Reply(200, b"<html>another page"))
        found = await mattermost.check(CHANNEL, None)
        assert (found.ok, "no Mattermost server" in found.problems[0]) == (False, True)

    async def test_webhooks_are_not_needed_beside_the_socket(
        self, mattermost: PlatformAdapter, server: FakeServer
    ) -> None:
        bare = {**CASE.credentials, "webhook_token": "", "command_token": ""}
        server.will(Reply(200, ME), Reply(200, [{"id": "team"}]))
        assert (await mattermost.check(ChannelContext("c", bare), None)).ok
