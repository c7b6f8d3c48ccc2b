"""Slack's calls, one transcript each."""

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
    Found,
    Indication,
    LookupRequest,
    LookupResult,
    PlatformAdapter,
    RenderedPart,
    SendRequest,
)
from adapters.registry import Platforms
from domain.errors import FileGoneError, InvalidInputError, UnavailableError
from domain.message import Attachment, MessageType, ReplyAddress
from tests.adapters.support import Drop, FakeServer, Reply, downloaded
from tests.contract.cases import CASES

CASE = CASES["slack"]
CHANNEL = CASE.channel()
SENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def slack(http: httpx2.AsyncClient, server: FakeServer) -> PlatformAdapter:
    return Platforms(http, {"slack": server.origin}).get("slack")


def ok(**fields: object) -> Reply:
    return Reply(200, {"ok": True, **fields})


def refused(error: str, **headers: str) -> Reply:
    return Reply(200, {"ok": False, "error": error}, headers)


class TestSend:
    async def test_transcript(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, CASE.accepted))
        address = ReplyAddress("C0GENERAL", "1767225000.000100", "1767225600.000100")
        request = SendRequest(address, RenderedPart("*hi*", "hi"), "nonce-1", lambda: None)
        assert await slack.send(CHANNEL, request) == Accepted("1767225600.000100")
        (received,) = server.received
        assert (received.method, received.target) == ("POST", "/api/chat.postMessage")
        assert received.headers["authorization"] == "Bearer xoxb-test"
        assert received.headers["content-type"] == "application/json; charset=utf-8"
        assert received.json == {
            "channel": "C0GENERAL",
            "text": "*hi*",
            "mrkdwn": True,
            "thread_ts": "1767225000.000100",
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {"event_type": "powernode_part", "event_payload": {"nonce": "nonce-1"}},
        }


def posted(ts: str, nonce: str, event_type: str = "powernode_part") -> dict[str, object]:
    return {"ts": ts, "text": "x", "metadata": {"event_type": event_type, "event_payload": {"nonce": nonce}}}


class TestLookup:
    async def ask(self, slack: PlatformAdapter, thread: str | None = None) -> LookupResult:
        return await slack.lookup(CHANNEL, LookupRequest(ReplyAddress("C1", thread), "nonce-1", SENT))

    async def test_found_in_the_channel(self, slack: PlatformAdapter, server: FakeServer) -> None:
        others = [
            posted("1.1", "nonce-2"),
            posted("1.2", "nonce-1", "other"),
            {"ts": "1.3"},
            "odd",
            posted("1.4", "nonce-1"),
        ]
        server.will(ok(messages=others, has_more=False))
        assert await self.ask(slack) == Found("1.4")
        target = urlsplit(server.received[0].target)
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        assert target.path == "/api/conversations.history"
        assert float(query.pop("oldest")) == SENT.timestamp() - 60
        assert query == {"channel": "C1", "include_all_metadata": "true", "inclusive": "true", "limit": "200"}

    async def test_found_in_the_thread_on_the_second_page(self, slack: PlatformAdapter, server: FakeServer) -> None:
        first = ok(messages=[], has_more=True, response_metadata={"next_cursor": "next"})
        server.will(first, ok(messages=[posted("1.4", "nonce-1")]))
        assert await self.ask(slack, "1.0") == Found("1.4")
        targets = [urlsplit(one.target) for one in server.received]
        assert [target.path for target in targets] == ["/api/conversations.replies"] * 2
        assert parse_qs(targets[1].query)["cursor"] == ["next"]
        assert parse_qs(targets[1].query)["ts"] == ["1.0"]

    async def test_absent_only_when_all_was_read(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(ok(messages=[posted("1.1", "nonce-2")], has_more=False))
        assert await self.ask(slack) == Absent()
        server.will(ok(messages=[], has_more=True))
        assert isinstance(await self.ask(slack), CannotTell)
        server.will(ok(messages=[], has_more=True, response_metadata={"next_cursor": "again"}))
        assert isinstance(await self.ask(slack), CannotTell)

    @pytest.mark.parametrize(
        "line", [refused("missing_scope"), refused("internal_error"), ok(), Drop(), Reply(500, b"")]
    )
    async def test_a_failed_look_up_says_nothing(
        self, slack: PlatformAdapter, server: FakeServer, line: Reply | Drop
    ) -> None:
        server.will(line)
        assert isinstance(await self.ask(slack), CannotTell)

    async def test_a_busy_slack_names_its_wait(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "9"}))
        told = await self.ask(slack)
        assert isinstance(told, CannotTell)
        assert told.retry_after_s == 9.0


class TestIndicate:
    async def test_bots_show_nothing(self, slack: PlatformAdapter, server: FakeServer) -> None:
        await slack.indicate(CHANNEL, ReplyAddress("C1"), Indication.TYPING)
        assert server.received == []


class TestLocateMedia:
    file = Attachment(MessageType.DOCUMENT, "F1", "text/plain", "a.txt")

    async def test_with_the_bots_token(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(ok(file={"url_private_download": f"{server.origin}/files/a.txt"}), Reply(200, b"bytes"))
        media = await slack.locate_media(CHANNEL, self.file)
        assert await downloaded(server.origin, media) == b"bytes"
        assert media.filename == "a.txt"
        assert server.received[1].headers["authorization"] == "Bearer xoxb-test"

    @pytest.mark.parametrize(
        "url", ["http://169.254.169.254/x", "https://files.slack.com.evil.example/x", "ftp://x", "http://[", None]
    )
    async def test_the_token_goes_nowhere_else(
        self, slack: PlatformAdapter, server: FakeServer, url: str | None
    ) -> None:
        server.will(ok(file={"url_private": url}))
        with pytest.raises(InvalidInputError):
            await slack.locate_media(CHANNEL, self.file)
        assert len(server.received) == 1

    async def test_a_login_page_is_not_the_file(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(ok(file={"url_private": f"{server.origin}/f"}), Reply(302, b"", {"Location": "/login"}))
        with pytest.raises(FileGoneError, match="files:read"):
            await downloaded(server.origin, await slack.locate_media(CHANNEL, self.file))

    async def test_what_fails_now(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(Drop())
        with pytest.raises(UnavailableError):
            await slack.locate_media(CHANNEL, self.file)
        server.will(refused("file_not_found"))
        with pytest.raises(InvalidInputError):
            await slack.locate_media(CHANNEL, self.file)


ME = {
    "url": "https://d.slack.com/",
    "team": "D",
    "user": "powernode",
    "team_id": "T0TEAM",
    "user_id": "U0BOT",
    "bot_id": "B0BOT",
}


class TestCheck:
    async def test_learns_who_we_are(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(ok(**ME))
        found = await slack.check(CHANNEL, "https://powernode.example/hook")
        assert (found.ok, found.problems) == (True, ())
        assert found.identity == {"user_id": "U0BOT", "bot_id": "B0BOT", "team_id": "T0TEAM", "team": "D"}
        assert [one.target for one in server.received] == ["/api/auth.test"]

    async def test_a_wrong_token(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(refused("invalid_auth"))
        found = await slack.check(CHANNEL, None)
        assert not found.ok
        assert "install the app again" in found.problems[0]

    async def test_another_workspace_or_no_secret(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(ok(**ME))
        other = ChannelContext("c", {**CASE.credentials, "team_id": "T0OTHER"})
        assert not (await slack.check(other, None)).ok
        without = ChannelContext("c", {"bot_token": "xoxb-test"})
        found = await slack.check(without, None)
        assert not found.ok
        assert "signing secret" in found.problems[0]

    async def test_missing_scopes_are_named(self, slack: PlatformAdapter, server: FakeServer) -> None:
        server.will(Reply(200, {"ok": True, **ME}, {"X-OAuth-Scopes": "chat:write,im:history"}))
        found = await slack.check(CHANNEL, None)
        assert found.ok
        assert found.problems == (
            "The app lacks the scope channels:history; add it and install the app again",
            (
                "The app lacks the scope files:read: without it files that people send cannot be fetched, and a file whose "
                "answer was lost not looked up; add it and install the app again"
            ),
            "The app lacks the scope files:write: without it files cannot be sent; add it and install the app again",
            "The app lacks the scope reactions:write: without it reactions cannot be sent; add it and install the app again",
        )
