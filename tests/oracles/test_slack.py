"""Slack's own client is pleased with the simulator, and its verifier accepts and refuses what we do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier

from simulator.client import SimulatorClient
from simulator.server import running_simulator
from tests.contract.cases import CASES, NOW, fixtures
from tests.contract.test_verify import accepts, with_headers
from tests.simulator.support import Bot, Hook, new_bot, running_hook

SECRET = CASES["slack"].credentials["signing_secret"]


class Clock:
    """The verifier's clock, at the time of the recorded payloads."""

    def now(self) -> float:
        return NOW


VERIFIER = SignatureVerifier(SECRET, clock=Clock())  # pyright: ignore[reportArgumentType] - asked for `now` alone


def theirs(headers: Mapping[str, Sequence[str]], body: bytes) -> bool:
    """Return their verdict; a time that is no number makes theirs raise, which is no yes."""
    try:
        return VERIFIER.is_valid_request(body, {name: values[0] for name, values in headers.items() if values})
    except ValueError:
        return False


@pytest_asyncio.fixture(loop_scope="session")
async def sim() -> AsyncGenerator[SimulatorClient]:
    async with running_simulator() as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def hook() -> AsyncGenerator[Hook]:
    async with running_hook() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def bot(sim: SimulatorClient, hook: Hook) -> AsyncGenerator[Bot]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        yield await new_bot(sim, http, hook, "slack", echo_own=False)


class TestSignatures:
    @pytest.mark.parametrize(
        "fixture", [one for one in fixtures() if one.platform == "slack"], ids=lambda one: one.name
    )
    def test_recorded_payloads_signed_as_slack_does(self, fixture: Any) -> None:
        request = fixture.request()
        assert accepts("slack", request) is theirs(request.headers, request.body) is True

    @pytest.mark.parametrize(
        "change",
        [
            {"x-slack-signature": ["v0=" + "0" * 64]},
            {"x-slack-signature": [""]},
            {"x-slack-signature": []},
            {"x-slack-request-timestamp": []},
            {"x-slack-request-timestamp": ["soon"]},
            {"x-slack-request-timestamp": [str(int(NOW) - 301)]},
            {"x-slack-request-timestamp": [str(int(NOW) + 1)]},
        ],
    )
    def test_what_it_refuses_we_refuse(self, change: dict[str, list[str]]) -> None:
        request = with_headers(CASES["slack"].request(b'{"type":"event_callback"}'), change)
        assert accepts("slack", request) is theirs(request.headers, request.body) is False

    async def test_the_simulator_signs_as_slack_does(self, bot: Bot, hook: Hook) -> None:
        await bot.sim.say(bot.name, "alice", "grüß dich 👋")
        (request,) = await hook.wait(1)
        verifier = SignatureVerifier(bot.credentials["signing_secret"])
        assert verifier.is_valid_request(request.body, dict(request.headers))
        assert not verifier.is_valid_request(request.body + b" ", dict(request.headers))


class TestClient:
    @pytest_asyncio.fixture(loop_scope="session")
    async def call(self, bot: Bot) -> Callable[..., Any]:
        client = WebClient(bot.credentials["bot_token"], base_url=f"{bot.sim.origin}/api/")

        async def ask(method: str, **values: Any) -> Any:
            return (await asyncio.to_thread(getattr(client, method), **values)).data

        return ask

    async def test_sends_edits_reads_back_and_deletes(self, bot: Bot, call: Callable[..., Any]) -> None:
        said = await bot.sim.say(bot.name, "alice", "hello")
        assert (await call("auth_test"))["user_id"]
        metadata = {"event_type": "powernode", "event_payload": {"nonce": "n-1"}}
        sent = await call("chat_postMessage", channel=said["chat"], text="*hi*", metadata=metadata)
        edited = await call("chat_update", channel=said["chat"], ts=sent["ts"], text="hi again")
        assert edited["ts"] == sent["ts"]
        history = await call("conversations_history", channel=said["chat"], include_all_metadata=True, limit=10)
        newest = history["messages"][0]
        assert (newest["ts"], newest["text"]) == (sent["ts"], "hi again")
        assert newest["metadata"]["event_payload"] == {"nonce": "n-1"}
        await call("chat_delete", channel=said["chat"], ts=sent["ts"])
        assert [one["ts"] for one in (await call("conversations_history", channel=said["chat"]))["messages"]] == [
            said["message_id"]
        ]

    async def test_finds_a_thread(self, bot: Bot, call: Callable[..., Any]) -> None:
        said = await bot.sim.say(bot.name, "alice", "hello", chat="general", chat_kind="channel")
        sent = await call("chat_postMessage", channel=said["chat"], text="in the thread", thread_ts=said["message_id"])
        found = await call("conversations_replies", channel=said["chat"], ts=said["message_id"])
        assert [one["ts"] for one in found["messages"]] == [said["message_id"], sent["ts"]]

    async def test_takes_refusals_for_what_they_are(self, bot: Bot, call: Callable[..., Any]) -> None:
        with pytest.raises(SlackApiError) as refused:
            await call("chat_postMessage", channel="C0NOWHERE", text="hi")
        assert vars(refused.value)["response"]["error"] == "channel_not_found"
        said = await bot.sim.say(bot.name, "alice", "hello")
        await bot.sim.fault("rate_limited", channel=bot.name, method="chat.postMessage", retry_after_s=7)
        with pytest.raises(SlackApiError) as slow:
            await call("chat_postMessage", channel=said["chat"], text="hi")
        answer = vars(slow.value)["response"]
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
