"""A signed webhook becomes a delivered reply, for every platform, over real sockets and real processes."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx2
import pytest

from adapters.registry import platform_names
from tests.e2e.system import System, Talk
from tests.tenants import Wish

COUNTS = "SELECT count(*) FROM {}"
# A phone that is on tells of the delivery at once: when we look, `sent` may already be behind us.
SENT = "SELECT delivery_status IN ('sent', 'delivered', 'read') FROM chat_messages WHERE direction = 'outbound'"


async def post(talk: Talk, request: dict[str, Any], **change: Any) -> httpx2.Response:
    """Send a signed request, changed."""
    headers = dict(request["headers"]) | change.get("headers", {})
    for name in change.get("without", ()):
        headers = {key: value for key, value in headers.items() if key.lower() != name}
    body = change.get("body", base64.b64decode(request["body"]))
    return await talk.system.http.post(change.get("url", talk.webhook_url), content=body, headers=headers)


async def signed(talk: Talk, said: str = "hello") -> dict[str, Any]:
    """Have a webhook signed and not sent."""
    found = await talk.say("alice", said, mode="sign_only", wait=False)
    return found["requests"][0]


def secret_header(request: dict[str, Any]) -> str:
    """Return the header that proves the sender."""
    return next(name for name in request["headers"] if name.lower() in {
        "x-telegram-bot-api-secret-token", "x-slack-signature", "x-hub-signature-256",
    })  # fmt: skip


async def nothing_stored(talk: Talk) -> bool:
    tables = ("webhook_deliveries", "inbound_events", "chat_messages", "chat_sessions")
    return [(await talk.rows(COUNTS.format(table)))[0][0] for table in tables] == [0, 0, 0, 0]


def by_webhook() -> list[str]:
    """Return the platforms that tell a bot of private chats by webhook; the others do it by a socket."""
    return [name for name in platform_names() if name not in {"discord", "mattermost"}]


@pytest.mark.parametrize("platform", by_webhook())
class TestPath:
    async def test_one_row_one_turn_one_reply(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        await talk.say("alice", "What a day!")
        [reply] = await talk.replies(1)
        assert "What a day!" in reply["text"]
        await talk.until(SENT, True)
        [message] = await talk.rows(
            "SELECT platform_message_id, turn_id FROM chat_messages WHERE direction = 'outbound'"
        )
        assert message.platform_message_id == reply["message_id"]
        assert [row.status for row in await talk.rows("SELECT status FROM turns")] == ["completed"]
        assert (await talk.rows("SELECT count(*) FROM turn_steps"))[0][0] == 1
        [session] = await talk.rows("SELECT processed_no, last_arrival_no FROM chat_sessions")
        assert (session.processed_no, session.last_arrival_no) == (1, 1)

    async def test_the_same_delivery_fifty_times_at_once_is_one(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        answer = await talk.say("alice", "once", copies=50)
        assert set(answer["statuses"]) == {200}
        await talk.say("alice", "twice")
        replies = await talk.replies(2)
        assert len(replies) == 2
        assert (await talk.rows(COUNTS.format("chat_messages WHERE direction = 'inbound'")))[0][0] == 2
        assert (await talk.rows(COUNTS.format("turns")))[0][0] == 2

    async def test_an_unknown_token_is_404(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        answer = await post(talk, await signed(talk), url=f"{system.api_url}/api/v1/chat/webhooks/nobody")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")

    async def test_what_cannot_be_read_is_set_aside_and_neighbours_go_on(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        for body in (b"{", b"[1,2", b"\xff\xfe", b"null", b'{"update_id": "x", "type": 7}', b"[" * 100_000):
            answer = await system.simulator.post(
                "deliver",
                {"channel": talk.name, "body_base64": base64.b64encode(body).decode(), "wait": True, "retry": False},
            )
            assert answer["statuses"] == [200], body[:30]
        await talk.say("alice", "still there?")
        await talk.replies(1)
        quarantined = await talk.rows("SELECT reason FROM webhook_deliveries WHERE outcome = 'quarantined'")
        assert len(quarantined) >= 4
        assert all(row.reason for row in quarantined)

    async def test_nul_and_lone_surrogates_do_not_break_it(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        await talk.say("alice", "a\x00b")
        [reply] = await talk.replies(1)
        assert "ab" in reply["text"]

    async def test_parts_of_a_long_reply_arrive_in_order(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform, Wish(provider="openai_compatible"))
        answer = "\n\n".join(f"paragraph {number:02d} " + "word " * 100 for number in range(30))
        await system.simulator.post("model/script", {"replies": [{"text": answer}]})
        await talk.say("alice", "tell me a story")
        replies = await talk.replies(4)
        await talk.until(SENT, True)
        text = "\n".join(reply["text"] for reply in await talk.replies(len(replies)))
        positions = [text.index(f"paragraph {number:02d} ") for number in range(30)]
        assert positions == sorted(positions)


@pytest.mark.parametrize("platform", ["slack", "telegram", "whatsapp"])
class TestProof:
    """Where a header proves the sender; where the body does, tests/contract does the same without the rows."""

    async def test_a_wrong_missing_or_doubled_proof_is_401_and_no_row(self, system: System, platform: str) -> None:
        talk, other = await system.open_talk(platform), await system.open_talk(platform)
        request, foreign = await signed(talk), await signed(other)
        name = secret_header(request)
        good = request["headers"][name]
        attempts = [
            {"headers": {name: good[:-1] + ("0" if good[-1] != "0" else "1")}},
            {"headers": {name: good.upper()}},
            {"headers": {name: foreign["headers"][name]}},
            {"headers": {name: ""}},
            {"without": [name.lower()]},
        ]
        for change in attempts:
            answer = await post(talk, request, **change)
            assert answer.status_code == 401, change
            assert answer.json()["code"] == "INVALID_SIGNATURE"
        twice = [*request["headers"].items(), (name, good)]
        body = base64.b64decode(request["body"])
        assert (await system.http.post(talk.webhook_url, content=body, headers=twice)).status_code == 401
        assert await nothing_stored(talk)
        assert (await post(talk, request)).status_code == 200

    async def test_a_body_over_its_cap_is_413(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        request = await signed(talk)
        for size in ((4 << 20 if platform == "whatsapp" else 1 << 20) + 1, (4 << 20) + 1):
            assert (await post(talk, request, body=b" " * size)).status_code == 413
        assert await nothing_stored(talk)


class TestSlackTime:
    async def test_an_old_timestamp_is_401_and_no_row(self, system: System) -> None:
        talk = await system.open_talk("slack")
        request = await signed(talk)
        answer = await post(talk, request, headers={"X-Slack-Request-Timestamp": "1700000000"})
        assert answer.status_code == 401
        body = base64.b64decode(request["body"])
        assert (await post(talk, request, body=body[:-1] + b" ")).status_code == 401
        assert await nothing_stored(talk)


class TestOrder:
    async def test_what_waits_while_a_turn_runs_is_taken_in_platform_order(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(provider="openai_compatible"))
        gate = await system.simulator.fault("hold", platform="model", times=1)
        await talk.say("alice", "number 000", at=1_700_000_000)
        assert await system.simulator.held(gate)
        request = {"as": "alice", "rate_per_s": 100, "shuffle": True, "concurrency": 20}
        texts = [f"number {number:03d}" for number in range(1, 200)]
        await shuffled(talk, texts, request)
        await talk.until("SELECT count(*) FROM chat_messages WHERE direction = 'inbound'", 200)
        await talk.until("SELECT count(*) FROM outbox", 0)
        await system.simulator.release(gate)
        replies = await talk.replies(200, timeout_s=120)
        numbers = [reply["text"].partition("number ")[2][:3] for reply in replies]
        assert numbers == [f"{number:03d}" for number in range(200)]


async def shuffled(talk: Talk, texts: list[str], request: dict[str, Any]) -> None:
    """Send messages whose platform times are in order, in any order of arrival."""
    requests: list[dict[str, Any]] = []
    for number, said in enumerate(texts, start=1):
        found = await talk.say("alice", said, at=1_700_000_000 + number, mode="sign_only", wait=False)
        requests.append(found["requests"][0])
    order = sorted(range(len(requests)), key=lambda index: (index * 7919) % 199)
    slots = asyncio.Semaphore(request["concurrency"])

    async def one(index: int) -> None:
        async with slots:
            assert (await post(talk, requests[index])).status_code == 200

    await asyncio.gather(*(one(index) for index in order))
