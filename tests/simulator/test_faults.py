"""Scripted faults, seen from an adapter's side of a real socket."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from simulator.client import SimulatorClient
from simulator.faults import FaultInput, Faults
from simulator.log import Changes
from simulator.records import Call
from tests.simulator.support import Bot


@pytest.fixture(params=["telegram", "slack"])
def bot(request: pytest.FixtureRequest, telegram: Bot, slack: Bot) -> Bot:
    return telegram if request.param == "telegram" else slack


async def send(bot: Bot, text: str, person: str = "alice") -> httpx2.Response:
    chat = await bot.chat_with(person)
    if bot.token.startswith("xoxb"):
        return await bot.raw("chat.postMessage", channel=chat, text=text)
    return await bot.raw("sendMessage", chat_id=chat, text=text)


async def texts(bot: Bot) -> list[str]:
    return [entry["text"] for entry in await bot.sim.received(bot.name)]


class TestKinds:
    async def test_accept_then_drop_stores_and_says_nothing(self, bot: Bot, sim: SimulatorClient) -> None:
        await sim.fault("accept_then_drop", channel=bot.name)
        with pytest.raises(httpx2.RemoteProtocolError):
            await send(bot, "lost answer")
        assert await texts(bot) == ["lost answer"]
        call = (await sim.calls(channel=bot.name))[0]
        assert (call["status"], call["accepted"], call["fault"]) == (0, True, "accept_then_drop")
        assert (await send(bot, "next")).status_code == 200

    async def test_drop_before_accept_stores_nothing(self, bot: Bot, sim: SimulatorClient) -> None:
        await sim.fault("drop_before_accept", channel=bot.name)
        with pytest.raises(httpx2.RemoteProtocolError):
            await send(bot, "never")
        assert await texts(bot) == []

    async def test_server_error_stores_nothing(self, bot: Bot, sim: SimulatorClient) -> None:
        await sim.fault("server_error", channel=bot.name, status=502)
        assert (await send(bot, "never")).status_code == 502
        assert await texts(bot) == []

    async def test_accept_then_error_stores(self, bot: Bot, sim: SimulatorClient) -> None:
        await sim.fault("accept_then_error", channel=bot.name)
        assert (await send(bot, "there")).status_code == 500
        assert await texts(bot) == ["there"]

    async def test_slow_answers_in_the_end(self, bot: Bot, sim: SimulatorClient) -> None:
        await sim.fault("slow", channel=bot.name, delay_s=0.05)
        assert (await send(bot, "late")).json()["ok"] is True

    async def test_hold_waits_for_the_release(self, bot: Bot, sim: SimulatorClient) -> None:
        fault = await sim.fault("hold", channel=bot.name)
        sending = asyncio.create_task(send(bot, "held"))
        assert await sim.held(fault)
        assert await texts(bot) == []
        assert not sending.done()
        assert await sim.release(fault) == 1
        assert (await sending).status_code == 200
        assert await texts(bot) == ["held"]

    async def test_accept_then_hold_has_stored_already(self, bot: Bot, sim: SimulatorClient) -> None:
        fault = await sim.fault("accept_then_hold", channel=bot.name)
        sending = asyncio.create_task(send(bot, "held"))
        assert await sim.held(fault)
        assert await texts(bot) == ["held"]
        await sim.release(fault)
        assert (await sending).status_code == 200

    async def test_a_held_call_is_done_although_the_client_left(self, bot: Bot, sim: SimulatorClient) -> None:
        fault = await sim.fault("hold", channel=bot.name)
        sending = asyncio.create_task(send(bot, "orphan"))
        assert await sim.held(fault)
        sending.cancel()
        await asyncio.wait([sending])
        await sim.release(fault)
        assert [entry["text"] for entry in await sim.received(bot.name, timeout_s=30)] == ["orphan"]

    async def test_a_window_refuses_until_it_is_over(self, bot: Bot, sim: SimulatorClient) -> None:
        await sim.fault("rate_limited", channel=bot.name, retry_after_s=3600, window=True)
        answers = [await send(bot, "x") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [429] * 3
        assert {answer.headers["retry-after"] for answer in answers} == {"3600"}
        calls = await sim.calls(channel=bot.name, fault="rate_limited")
        assert [call["retry_after_s"] for call in calls] == [3600.0] * 3
        assert calls[0]["mono"] < calls[1]["mono"]


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "code", "description"),
        [
            ("blocked", 403, "Forbidden: bot was blocked by the user"),
            ("chat_not_found", 400, "Bad Request: chat not found"),
            ("invalid_auth", 401, "Unauthorized"),
            ("bad_markup", 400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0'),
            ("something else", 400, "Bad Request: something else"),
        ],
    )
    async def test_telegram(self, telegram: Bot, sim: SimulatorClient, name: str, code: int, description: str) -> None:
        await sim.fault("error", channel=telegram.name, method="sendMessage", error=name)
        answer = await send(telegram, "x")
        assert answer.status_code == code
        assert answer.json() == {"ok": False, "error_code": code, "description": description}

    @pytest.mark.parametrize(
        ("name", "code"),
        [("channel_not_found", "channel_not_found"), ("blocked", "cannot_dm_bot"), ("is_archived", "is_archived")],
    )
    async def test_slack(self, slack: Bot, sim: SimulatorClient, name: str, code: str) -> None:
        await sim.fault("error", token=slack.token, error=name)
        answer = await send(slack, "x")
        assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": code})

    async def test_telegram_names_the_wait_in_the_body(self, telegram: Bot, sim: SimulatorClient) -> None:
        await sim.fault("rate_limited", channel=telegram.name, retry_after_s=7)
        assert (await send(telegram, "x")).json() == {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 7",
            "parameters": {"retry_after": 7},
        }


class TestSelection:
    async def test_one_chat_by_its_name(self, bot: Bot, sim: SimulatorClient) -> None:
        await bot.chat_with("bob")
        await sim.fault("server_error", channel=bot.name, chat="bob", times=None)
        assert (await send(bot, "x", "alice")).status_code == 200
        assert (await send(bot, "x", "bob")).status_code == 500

    def test_skip_every_and_times(self) -> None:
        faults = Faults(Changes())
        faults.add(FaultInput(kind="server_error", skip=1, every=2, times=2))
        hits = [faults.take(_call()) is not None for _ in range(8)]
        assert hits == [False, False, True, False, True, False, False, False]

    async def test_other_channels_are_untouched(self, telegram: Bot, slack: Bot, sim: SimulatorClient) -> None:
        await sim.fault("server_error", channel=telegram.name, times=None)
        assert (await send(slack, "x")).status_code == 200

    async def test_reset_of_a_channel_ends_its_faults(self, bot: Bot, sim: SimulatorClient) -> None:
        await sim.fault("server_error", channel=bot.name, times=None)
        await sim.reset(bot.name)
        assert (await send(bot, "x")).status_code == 200


def _call() -> Call:
    return Call("telegram", "c", "sendMessage", None, None, {}, 0.0, 0.0)
