"""Platforms that ask us to slow down, or are away: nobody is asked inside a penalty, others go on, everything arrives once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.system import System, Talk
from tests.e2e.test_streaming import METHODS, WORDS, ask, shown
from tests.tenants import Wish

PEOPLE = ("alice", "bob", "carol")
SENT = "SELECT count(*) FROM message_deliveries WHERE status = 'sent'"


async def slow_talk(system: System, platform: str) -> Talk:
    """Open a talk whose model takes its time, so that there would be something to show before the reply."""
    talk = await system.open_talk(platform, Wish(provider="openai_compatible"))
    script = {"match": talk.name, "text": WORDS, "chunk_delay_s": 0.05, "times": None}
    await system.simulator.post("model/script", {"replies": [script]})
    return talk


async def asked(talk: Talk) -> list[dict[str, Any]]:
    """Every request that would have shown something, in order."""
    methods = METHODS[talk.platform]
    calls = await talk.system.simulator.calls(channel=talk.name, at_least=0)
    return [call for call in calls if call["method"] in methods]


class TestPenalty:
    @pytest.mark.parametrize(
        ("platform", "wait_s"),
        [
            # Longer than a chat's own rules explain, so the whole bot's.
            ("telegram", 6.0),
            # Named as the whole bot's by the platform.
            ("discord", 3.0),
            pytest.param("telegram", 60.0, marks=pytest.mark.full),
            pytest.param("slack", 60.0, marks=pytest.mark.full),
            pytest.param("mattermost", 60.0, marks=pytest.mark.full),
        ],
    )
    async def test_one_bots_penalty_is_kept_and_is_its_own(self, system: System, platform: str, wait_s: float) -> None:
        talk, other = await slow_talk(system, platform), await system.open_talk(platform)
        sends = METHODS[platform][0]
        fault = await system.simulator.fault(
            "rate_limited", channel=talk.name, times=1, window=True, retry_after_s=wait_s, error="global", method=sends
        )
        await ask(talk, said="a short question")
        assert (await system.simulator.get(f"faults/{fault}", hits=1, timeout_s=30))["met"]
        for person in PEOPLE[1:]:
            await ask(talk, person)
        await ask(other, "dora")
        [elsewhere] = await other.replies(1)
        await talk.until(SENT, len(PEOPLE), wait_s + 60)
        refused, *later = await asked(talk)
        assert refused["status"] == 429
        assert all(call["status"] in {200, 201} and call["at"] >= refused["at"] + wait_s for call in later)
        assert elsewhere["at"] < later[0]["at"]
        texts = [chat["messages"][-1]["text"] for person in PEOPLE[1:] for chat in await chats(talk, person)]
        assert texts == [WORDS] * 2

    async def test_a_preview_that_is_refused_is_left_out_and_the_reply_keeps_the_wait(self, system: System) -> None:
        talk = await slow_talk(system, "slack")
        await system.simulator.fault(
            "rate_limited", channel=talk.name, method="chat.postMessage", window=True, retry_after_s=6.0
        )
        await ask(talk)
        await talk.until(SENT, 1)
        refused, *later = await asked(talk)
        assert [call["method"] for call in later] == ["chat.postMessage"]
        assert later[0]["at"] >= refused["at"] + 6
        assert [message["text"] for message in await shown(talk)] == [WORDS]


async def chats(talk: Talk, person: str) -> list[dict[str, Any]]:
    return (await talk.system.simulator.phone(talk.name, person))["chats"]


class TestRules:
    async def test_a_platform_that_counts_has_nothing_to_refuse(self, system: System) -> None:
        await system.worker.kill()
        system.worker.start(POWERNODE_SEND_PACE="0.8")
        await system.ready()
        talk = await system.open_talk("telegram", flood_control=True)
        for number in range(7):
            await talk.say("alice", f"number {number}")
        replies = await talk.replies(7)
        assert [reply["text"][-8:] for reply in replies] == [f"number {number}" for number in range(7)]
        assert {call["status"] for call in await asked(talk)} == {200}
        await system.worker.kill()
        system.worker.start()
        await system.ready()


class TestOutage:
    async def test_after_it_everything_arrives_once_and_in_order(self, system: System) -> None:
        talk = await system.open_talk("slack")
        away = {"channel": talk.name, "method": "chat.postMessage", "error": "service_unavailable"}
        await system.simulator.fault("error", times=6, **away)
        for number in range(3):
            for person in PEOPLE[:2]:
                await talk.say(person, f"{person} {number}")
        await talk.until(SENT, 6, 90)
        for person in PEOPLE[:2]:
            [chat] = await chats(talk, person)
            answers = [message["text"] for message in chat["messages"] if message["bot"]]
            assert [answer[-len(f"{person} 0") :] for answer in answers] == [
                f"{person} {number}" for number in range(3)
            ]
