"""Changing and deleting messages, on every platform: against a scripted server, and against the simulator."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from activities.limiter import place_of
from adapters.base import (
    Accepted,
    EditRequest,
    ErrorClass,
    Found,
    Refused,
    RenderedPart,
    SendRequest,
    SendResult,
    Unknown,
)
from adapters.capabilities import Preview
from adapters.limits import Scope, Verb
from adapters.registry import Platforms, platform_names
from domain.message import ReplyAddress
from tests.adapters.support import Drop, FakeServer, Reply, Stall
from tests.contract.cases import CASES
from tests.contract.test_send import ClaimGoneError, discord, mattermost, nothing, refusal, send, telegram
from tests.contract.test_with_simulator import Line, line, sim

__all__ = ["line", "sim"]

EDITING = ("discord", "mattermost", "slack", "telegram")
MESSAGE = "1456000000000000009"
DONE = {
    "discord": Reply(200, {"id": MESSAGE, "content": "hi"}),
    "mattermost": Reply(200, {"id": MESSAGE, "message": "hi"}),
    "slack": Reply(200, {"ok": True, "ts": MESSAGE, "channel": "C1"}),
    "telegram": Reply(200, {"ok": True, "result": {"message_id": int(MESSAGE)}}),
}
DELETED = {
    "discord": Reply(204, b""),
    "mattermost": Reply(200, {"status": "OK"}),
    "slack": Reply(200, {"ok": True}),
    "telegram": Reply(200, {"ok": True, "result": True}),
}
GONE = [
    ("discord", discord(404, 10008)),
    ("discord", discord(403, 50005)),
    ("mattermost", mattermost(404, "app.post.get.app_error")),
    ("mattermost", mattermost(403, "api.context.permissions.app_error")),
    ("mattermost", mattermost(400, "api.post.update_post.permissions_time_limit.app_error")),
    ("slack", refusal(200, {"error": "message_not_found"})),
    ("slack", refusal(200, {"error": "edit_window_closed"})),
    ("slack", refusal(200, {"error": "cant_update_message"})),
    ("slack", refusal(200, {"error": "msg_too_long"})),
    ("telegram", telegram(400, "Bad Request: message to edit not found")),
    ("telegram", telegram(400, "Bad Request: message can't be edited")),
]


def wanted(before_write: Any = nothing, timeout_s: float = 5.0, *, as_plain: bool = False) -> EditRequest:
    part = RenderedPart(body="<b>hi</b>", plain="hi")
    return EditRequest(
        ReplyAddress("5001"), MESSAGE, part, "nonce-1", before_write, as_plain=as_plain, timeout_s=timeout_s
    )


async def edit(http: httpx2.AsyncClient, server: FakeServer, platform: str, request: EditRequest) -> SendResult:
    adapter = Platforms(http, {platform: server.origin}).get(platform)
    return await adapter.edit(CASES[platform].channel(), request)


async def delete(http: httpx2.AsyncClient, server: FakeServer, platform: str) -> SendResult:
    adapter = Platforms(http, {platform: server.origin}).get(platform)
    return await adapter.delete(CASES[platform].channel(), ReplyAddress("5001"), MESSAGE)


@pytest.mark.parametrize("platform", EDITING)
class TestEdit:
    async def test_accepted(self, http: httpx2.AsyncClient, server: FakeServer, platform: str) -> None:
        server.will(DONE[platform])
        assert await edit(http, server, platform, wanted()) == Accepted(MESSAGE)

    @pytest.mark.parametrize("line", [Drop(), Stall(), Reply(200, b"<html>"), Reply(200, {}), Reply(500, {}),
                                      Reply(502, b"bad gateway")])  # fmt: skip
    async def test_an_answer_that_does_not_say_is_unknown(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str, line: Reply | Drop | Stall
    ) -> None:
        server.will(line)
        assert isinstance(await edit(http, server, platform, wanted(timeout_s=0.3)), Unknown)
        assert len(server.received) == 1

    async def test_what_may_not_be_written_any_more_is_not(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        def refuse() -> None:
            raise ClaimGoneError

        server.will(DONE[platform])
        with pytest.raises(ClaimGoneError):
            await edit(http, server, platform, wanted(refuse))
        assert server.received == []

    async def test_plain_text_is_sent_without_markup(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        server.will(DONE[platform])
        await edit(http, server, platform, wanted(as_plain=True))
        found: Any = server.received[0].json
        for step in CASES[platform].text_at:
            found = found[step]
        assert found == "hi"

    async def test_deleted(self, http: httpx2.AsyncClient, server: FakeServer, platform: str) -> None:
        server.will(DELETED[platform])
        assert await delete(http, server, platform) == Accepted(MESSAGE)
        server.will(Reply(200, b"<html>"))
        assert isinstance(await delete(http, server, platform), Unknown)


class TestRefusals:
    @pytest.mark.parametrize(("platform", "line"), GONE)
    async def test_a_message_that_cannot_be_changed_is_gone(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str, line: Reply
    ) -> None:
        server.will(line)
        result = await edit(http, server, platform, wanted())
        assert isinstance(result, Refused)
        assert result.error_class is ErrorClass.GONE

    async def test_saying_the_same_again_is_done(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(telegram(400, "Bad Request: message is not modified: specified new message content is the same"))
        assert await edit(http, server, "telegram", wanted()) == Accepted(MESSAGE)

    @pytest.mark.parametrize(
        ("platform", "line"),
        [
            ("discord", discord(404, 10008)),
            ("mattermost", mattermost(404, "app.post.get.app_error")),
            ("slack", refusal(200, {"error": "message_not_found"})),
            ("telegram", telegram(400, "Bad Request: message to delete not found")),
        ],
    )
    async def test_what_is_gone_already_is_deleted(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str, line: Reply
    ) -> None:
        server.will(line)
        assert await delete(http, server, platform) == Accepted(MESSAGE)

    async def test_whatsapp_changes_nothing(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        for result in (await edit(http, server, "whatsapp", wanted()), await delete(http, server, "whatsapp")):
            assert isinstance(result, Refused)
            assert result.error_class is ErrorClass.PERMANENT
        assert server.received == []


class TestRates:
    @pytest.mark.parametrize("platform", platform_names())
    def test_every_platform_says_how_often_it_may_be_asked(self, http: httpx2.AsyncClient, platform: str) -> None:
        capabilities = Platforms(http, {}).get(platform).capabilities
        assert any(Verb.SEND in rule.verbs for rule in capabilities.send_rules)
        assert all(rule.burst >= 1 and rule.count > 0 and rule.per_s > 0 for rule in capabilities.send_rules)
        assert len({rule.name for rule in capabilities.send_rules}) == len(capabilities.send_rules)
        assert set(capabilities.bot_credentials) <= {field.name for field in capabilities.credentials}

    @pytest.mark.parametrize("platform", platform_names())
    def test_a_file_costs_two_where_its_upload_is_counted_too(self, http: httpx2.AsyncClient, platform: str) -> None:
        capabilities, channel = Platforms(http, {}).get(platform).capabilities, CASES[platform].channel()
        costs = [
            place_of(capabilities, channel, platform, "5001", Verb.SEND, with_file=with_file).cost
            for with_file in (False, True)
        ]
        assert costs == [1, 2 if platform == "mattermost" else 1]

    @pytest.mark.parametrize("platform", platform_names())
    def test_passing_signs_take_nothing_from_a_chat(self, http: httpx2.AsyncClient, platform: str) -> None:
        capabilities = Platforms(http, {}).get(platform).capabilities
        counting = [rule for rule in capabilities.send_rules if Verb.SIGN in rule.verbs]
        assert {rule.scope for rule in counting} <= {Scope.BOT}
        assert bool(counting) == bool(capabilities.typing_s)

    @pytest.mark.parametrize(
        ("body", "headers", "scope"),
        [
            ({"retry_after": 1, "global": True}, {}, Scope.BOT),
            ({"retry_after": 1, "global": False}, {"X-RateLimit-Bucket": "b"}, Scope.CHAT),
            ({}, {}, None),
        ],
    )
    async def test_discord_says_whom_a_wait_concerns(
        self,
        http: httpx2.AsyncClient,
        server: FakeServer,
        body: dict[str, object],
        headers: dict[str, str],
        scope: Scope | None,
    ) -> None:
        server.will(Reply(429, body, headers))
        result = await edit(http, server, "discord", wanted())
        assert isinstance(result, Refused)
        assert (result.error_class, result.scope) == (ErrorClass.RATE_LIMITED, scope)

    async def test_discord_says_beforehand_that_a_bucket_is_empty(
        self, http: httpx2.AsyncClient, server: FakeServer
    ) -> None:
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.5"}
        server.will(Reply(200, {"id": MESSAGE}, headers))
        assert await edit(http, server, "discord", wanted()) == Accepted(MESSAGE, 1.5)
        part = RenderedPart("hi", "hi")
        sent = await send(http, server.origin, "discord", SendRequest(ReplyAddress("5001"), part, "n", nothing))
        assert sent == Accepted(MESSAGE, 1.5)

    def test_a_telegram_group_has_a_limit_of_its_own_and_no_drafts(self, http: httpx2.AsyncClient) -> None:
        capabilities = Platforms(http, {}).get("telegram").capabilities
        applies = {chat: {rule.name for rule in capabilities.send_rules if rule.applies(chat)} for chat in ("5", "-5")}
        assert applies == {"5": {"bot", "chat"}, "-5": {"bot", "chat", "group"}}
        assert [capabilities.preview(chat) for chat in ("5", "-5")] == [Preview.DRAFTS, Preview.NONE]


class TestWithSimulator:
    async def test_a_message_is_changed_keeps_its_nonce_and_is_deleted(self, line: Line) -> None:
        adapter = line.adapter
        if not adapter.capabilities.can_edit:
            return
        await line.bot.sim.say(line.bot.name, "alice", "go")
        (event,) = await line.came()
        (first,) = adapter.render("one **two")
        sent = await line.send(event.reply_to, first, "growing")
        assert isinstance(sent, Accepted)
        (whole,) = adapter.render("one **two** three & four")
        request = EditRequest(event.reply_to, sent.platform_message_id, whole, "growing", nothing)
        for _ in range(2):
            # The second time nothing changes, which is as good.
            assert await adapter.edit(line.channel, request) == Accepted(sent.platform_message_id)
        [message] = [message for message in await line.shown() if message["bot"]]
        said = [text.replace("*", "") for text in (message["history"][0], message["text"])]
        assert said == ["one two", "one two three & four"]
        if adapter.capabilities.can_look_up:
            assert await line.look_up(event.reply_to, "growing") == Found(sent.platform_message_id)
        for _ in range(2):
            gone = await adapter.delete(line.channel, event.reply_to, sent.platform_message_id)
            assert gone == Accepted(sent.platform_message_id)
        assert [message for message in await line.shown() if message["bot"]] == []
        result = await adapter.edit(line.channel, request)
        assert isinstance(result, Refused)
        assert result.error_class is ErrorClass.GONE
