"""Every platform's send against a scripted server: each way it can end is told apart, over real sockets."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from adapters.base import Accepted, ChannelContext, ErrorClass, Refused, RenderedPart, SendRequest, SendResult, Unknown
from adapters.registry import Platforms, platform_names
from domain.message import ReplyAddress
from tests.adapters.support import Drop, FakeServer, Reply, Stall
from tests.contract.cases import CASES


class ClaimGoneError(Exception):
    """The claim ran out."""


def nothing() -> None:
    """A claim that still holds."""


def part_request(thread: str | None = None, timeout_s: float = 5.0, *, as_plain: bool = False) -> SendRequest:
    part = RenderedPart(body="<b>hi</b>", plain="hi")
    return SendRequest(
        ReplyAddress("5001", thread, "9"), part, "nonce-1", nothing, as_plain=as_plain, timeout_s=timeout_s
    )


async def send(
    http: httpx2.AsyncClient, origin: str, platform: str, request: SendRequest, channel: ChannelContext | None = None
) -> SendResult:
    adapter = Platforms(http, {platform: origin}).get(platform)
    return await adapter.send(channel or CASES[platform].channel(), request)


@pytest.mark.parametrize("platform", platform_names())
class TestSend:
    async def test_accepted(self, http: httpx2.AsyncClient, server: FakeServer, platform: str) -> None:
        server.will(Reply(200, CASES[platform].accepted))
        assert await send(http, server.origin, platform, part_request()) == Accepted(CASES[platform].accepted_id)

    @pytest.mark.parametrize("line", [Drop(), Stall(), Reply(200, {"ok": True}, cut_after=5), Reply(200, b"<html>"),
                                      Reply(200, {"ok": True}), Reply(200, {}), Reply(200, []), Reply(204, b""),
                                      Reply(500, {}), Reply(502, b"bad gateway"), Reply(503, {"ok": False})])  # fmt: skip
    async def test_an_answer_that_does_not_say_is_unknown(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str, line: Reply | Drop | Stall
    ) -> None:
        server.will(line)
        result = await send(http, server.origin, platform, part_request(timeout_s=0.3))
        assert isinstance(result, Unknown)
        assert result.reason
        assert len(server.received) == 1

    async def test_no_connection_is_transient(self, http: httpx2.AsyncClient, platform: str) -> None:
        result = await send(http, "http://127.0.0.1:1", platform, part_request())
        assert isinstance(result, Refused)
        assert result.error_class is ErrorClass.TRANSIENT

    async def test_a_redirect_is_not_followed(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        server.will(Reply(302, b"", {"Location": "/elsewhere"}))
        result = await send(http, server.origin, platform, part_request())
        assert isinstance(result, Refused)
        assert (result.error_class, len(server.received)) == (ErrorClass.CHANNEL_BROKEN, 1)

    async def test_a_claim_that_ran_out_sends_nothing(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        def refuse() -> None:
            raise ClaimGoneError

        server.will(Reply(200, CASES[platform].accepted))
        request = SendRequest(ReplyAddress("5001"), RenderedPart("a", "a"), "n", refuse)
        with pytest.raises(ClaimGoneError):
            await send(http, server.origin, platform, request)
        assert server.received == []

    @pytest.mark.parametrize("token", ["", "with space/../x", "ünïcode", "new\r\nline: x"])
    async def test_an_impossible_token_breaks_nothing(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str, token: str
    ) -> None:
        server.will(
            Reply(401, {"ok": False, "error": "invalid_auth", "error_code": 401, "description": "Unauthorized"})
        )
        channel = ChannelContext("c", {**CASES[platform].credentials, CASES[platform].token_name: token})
        result = await send(http, server.origin, platform, part_request(), channel)
        assert isinstance(result, Refused)
        assert result.error_class is ErrorClass.CHANNEL_BROKEN

    async def test_plain_text_is_sent_without_markup(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        server.will(Reply(200, CASES[platform].accepted))
        await send(http, server.origin, platform, part_request(as_plain=True))
        found: Any = server.received[0].json
        for step in CASES[platform].text_at:
            found = found[step]
        assert found == "hi"


def refusal(status: int, body: dict[str, object], headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, {"ok": False, **body}, headers or {})


def telegram(status: int, description: str, **parameters: int) -> Reply:
    body: dict[str, object] = {"error_code": status, "description": description}
    return refusal(status, {**body, "parameters": parameters} if parameters else body)


def whatsapp(status: int, code: int, headers: dict[str, str] | None = None, **more: object) -> Reply:
    return Reply(status, {"error": {"message": "(#1) x", "code": code, "fbtrace_id": "A", **more}}, headers or {})


def mattermost(status: int, code: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, {"id": code, "message": "x", "request_id": "r", "status_code": status}, headers or {})


def discord(status: int, code: int, headers: dict[str, str] | None = None, **more: object) -> Reply:
    return Reply(status, {"message": "x", "code": code, **more}, headers or {})


def discord_slow(body: dict[str, object] | bytes, **headers: str) -> Reply:
    return Reply(429, body, {name.replace("_", "-"): value for name, value in headers.items()})


REFUSALS = [
    ("telegram", telegram(429, "Too Many Requests: retry after 35", retry_after=35), ErrorClass.RATE_LIMITED, 35.0),
    (
        "telegram",
        telegram(429, "Too Many Requests: retry after 9000", retry_after=9000),
        ErrorClass.RATE_LIMITED,
        9000.0,
    ),
    ("telegram", telegram(429, "Too Many Requests"), ErrorClass.RATE_LIMITED, 30.0),
    (
        "telegram",
        telegram(400, "Bad Request: can't parse entities: Unsupported start tag"),
        ErrorClass.BAD_MARKUP,
        None,
    ),
    ("telegram", telegram(400, "Bad Request: chat not found"), ErrorClass.PERMANENT, None),
    ("telegram", telegram(400, "Bad Request: message is too long"), ErrorClass.PERMANENT, None),
    ("telegram", telegram(400, "Bad Request: something new"), ErrorClass.PERMANENT, None),
    ("telegram", telegram(403, "Forbidden: bot was blocked by the user"), ErrorClass.PERMANENT, None),
    ("telegram", telegram(401, "Unauthorized"), ErrorClass.CHANNEL_BROKEN, None),
    ("telegram", telegram(404, "Not Found"), ErrorClass.CHANNEL_BROKEN, None),
    ("telegram", telegram(409, "Conflict: terminated by other getUpdates request"), ErrorClass.CHANNEL_BROKEN, None),
    ("telegram", Reply(413, b"<html>too large"), ErrorClass.PERMANENT, None),
    ("slack", refusal(429, {"error": "ratelimited"}, {"Retry-After": "12"}), ErrorClass.RATE_LIMITED, 12.0),
    ("slack", Reply(429, b"", {"Retry-After": "3"}), ErrorClass.RATE_LIMITED, 3.0),
    ("slack", refusal(200, {"error": "ratelimited"}), ErrorClass.RATE_LIMITED, 30.0),
    ("slack", refusal(200, {"error": "service_unavailable"}), ErrorClass.TRANSIENT, None),
    ("slack", refusal(200, {"error": "request_timeout"}), ErrorClass.TRANSIENT, None),
    ("slack", refusal(200, {"error": "invalid_auth"}), ErrorClass.CHANNEL_BROKEN, None),
    ("slack", refusal(200, {"error": "token_revoked"}), ErrorClass.CHANNEL_BROKEN, None),
    ("slack", refusal(200, {"error": "missing_scope", "needed": "chat:write"}), ErrorClass.CHANNEL_BROKEN, None),
    ("slack", refusal(200, {"error": "channel_not_found"}), ErrorClass.PERMANENT, None),
    ("slack", refusal(200, {"error": "not_in_channel"}), ErrorClass.PERMANENT, None),
    ("slack", refusal(200, {"error": "msg_too_long"}), ErrorClass.PERMANENT, None),
    ("slack", refusal(200, {"error": "something_new"}), ErrorClass.PERMANENT, None),
    ("slack", refusal(400, {"error": "invalid_blocks"}), ErrorClass.PERMANENT, None),
    ("whatsapp", whatsapp(429, 130429, {"Retry-After": "7"}), ErrorClass.RATE_LIMITED, 7.0),
    ("whatsapp", whatsapp(400, 130429), ErrorClass.RATE_LIMITED, 5.0),
    ("whatsapp", whatsapp(400, 4), ErrorClass.RATE_LIMITED, 60.0),
    ("whatsapp", whatsapp(400, 80007), ErrorClass.RATE_LIMITED, 60.0),
    ("whatsapp", whatsapp(400, 131048), ErrorClass.RATE_LIMITED, 3600.0),
    ("whatsapp", Reply(429, b"<html>"), ErrorClass.RATE_LIMITED, 30.0),
    ("whatsapp", whatsapp(400, 131056), ErrorClass.TRANSIENT, None),
    ("whatsapp", whatsapp(500, 131000), ErrorClass.TRANSIENT, None),
    ("whatsapp", whatsapp(503, 131016), ErrorClass.TRANSIENT, None),
    ("whatsapp", whatsapp(400, 2), ErrorClass.TRANSIENT, None),
    *(
        ("whatsapp", whatsapp(400, code), ErrorClass.PERMANENT, None)
        for code in (131026, 131021, 131030, 131050, 130472, 131049, 131008, 131009, 131051, 132000, 99999)
    ),
    *(
        ("whatsapp", whatsapp(400, code), ErrorClass.CHANNEL_BROKEN, None)
        for code in (0, 3, 10, 33, 190, 200, 299, 368, 131031, 131037, 131042, 131045)
    ),
    ("whatsapp", whatsapp(400, 131047), ErrorClass.WINDOW_CLOSED, None),
    ("whatsapp", whatsapp(400, 100), ErrorClass.PERMANENT, None),
    ("discord", discord_slow({"message": "x", "retry_after": 0.529, "global": False}), ErrorClass.RATE_LIMITED, 0.529),
    ("discord", discord_slow({"retry_after": 64.57, "global": True}, Retry_After="65"), ErrorClass.RATE_LIMITED, 64.57),
    ("discord", discord_slow({}, Retry_After="3", X_RateLimit_Bucket="abc"), ErrorClass.RATE_LIMITED, 3.0),
    ("discord", discord_slow(b"<html>", Retry_After="9"), ErrorClass.RATE_LIMITED, 9.0),
    ("discord", discord_slow(b"<html>"), ErrorClass.RATE_LIMITED, 30.0),
    ("discord", Reply(403, b"<html>Access denied"), ErrorClass.RATE_LIMITED, 600.0),
    *(("discord", discord(400, code), ErrorClass.TRANSIENT, None) for code in (20016, 20028, 20029, 40003, 40062)),
    ("discord", discord(401, 0), ErrorClass.CHANNEL_BROKEN, None),
    ("discord", discord(403, 40001), ErrorClass.CHANNEL_BROKEN, None),
    ("discord", discord(400, 50014), ErrorClass.CHANNEL_BROKEN, None),
    *(("discord", discord(403, code), ErrorClass.PERMANENT, None) for code in (50001, 50007, 50013, 50278, 160002)),
    *(("discord", discord(404, code), ErrorClass.PERMANENT, None) for code in (0, 10003, 10004, 10008)),
    *(
        ("discord", discord(400, code), ErrorClass.PERMANENT, None)
        for code in (50006, 50008, 50035, 50083, 40005, 200000, 240000, 99999)
    ),
    ("mattermost", Reply(429, b"limit exceeded", {"Retry-After": "4"}), ErrorClass.RATE_LIMITED, 4.0),
    ("mattermost", Reply(429, b"limit exceeded", {"X-RateLimit-Reset": "2"}), ErrorClass.RATE_LIMITED, 2.0),
    ("mattermost", Reply(429, b"limit exceeded", {"Retry-After": "1000000001"}), ErrorClass.RATE_LIMITED, 1.0),
    ("mattermost", Reply(429, b"limit exceeded"), ErrorClass.RATE_LIMITED, 30.0),
    ("mattermost", mattermost(401, "api.context.session_expired.app_error"), ErrorClass.CHANNEL_BROKEN, None),
    ("mattermost", Reply(404, b"<html>not found"), ErrorClass.CHANNEL_BROKEN, None),
    ("mattermost", mattermost(404, "app.channel.get.existing.app_error"), ErrorClass.PERMANENT, None),
    ("mattermost", mattermost(403, "api.context.permissions.app_error"), ErrorClass.PERMANENT, None),
    ("mattermost", mattermost(400, "model.post.is_valid.message_length.app_error"), ErrorClass.PERMANENT, None),
    ("mattermost", mattermost(400, "api.post.create_post.root_id.app_error"), ErrorClass.PERMANENT, None),
    ("mattermost", mattermost(400, "api.post.create_post.can_not_post_to_deleted.error"), ErrorClass.PERMANENT, None),
    ("mattermost", mattermost(400, "something.new"), ErrorClass.PERMANENT, None),
    ("mattermost", mattermost(413, "api.file.too_large"), ErrorClass.PERMANENT, None),
    ("mattermost", mattermost(501, "api.feature_off"), ErrorClass.PERMANENT, None),
    ("whatsapp", whatsapp(400, 100, error_subcode=33), ErrorClass.CHANNEL_BROKEN, None),
]


class TestRefusals:
    @pytest.mark.parametrize("platform", platform_names())
    def test_every_class_is_asked(self, platform: str) -> None:
        asked = {error_class for name, _, error_class, _ in REFUSALS if name == platform}
        # Not reachable is asked of all, and whose markup can be wrong says so.
        expected = {ErrorClass.RATE_LIMITED, ErrorClass.PERMANENT, ErrorClass.CHANNEL_BROKEN}
        assert asked >= expected | ({ErrorClass.BAD_MARKUP} if platform == "telegram" else set[ErrorClass]())

    @pytest.mark.parametrize(("platform", "line", "error_class", "wait_s"), REFUSALS)
    async def test_classes(
        self,
        http: httpx2.AsyncClient,
        server: FakeServer,
        platform: str,
        line: Reply,
        error_class: ErrorClass,
        wait_s: float | None,
    ) -> None:
        server.will(line)
        result = await send(http, server.origin, platform, part_request())
        assert isinstance(result, Refused)
        assert (result.error_class, result.retry_after_s) == (error_class, wait_s)
        assert result.code
        assert result.message[0].isupper()
        assert len(server.received) == 1

    @pytest.mark.parametrize("error", ["internal_error", "fatal_error"])
    async def test_slacks_own_breakdowns_may_have_posted(
        self, http: httpx2.AsyncClient, server: FakeServer, error: str
    ) -> None:
        server.will(refusal(200, {"error": error}))
        assert isinstance(await send(http, server.origin, "slack", part_request()), Unknown)
