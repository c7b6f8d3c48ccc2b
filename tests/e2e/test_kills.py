"""Processes killed with -9 under load: nothing answered 2xx is lost, nothing is said twice."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.e2e.checker import Verdict, check, judge
from tests.e2e.system import Process, System, Talk

OPEN_PARTS = "SELECT count(*) FROM message_deliveries WHERE status IN ('queued', 'attempting')"
UNHANDLED = "SELECT count(*) FROM chat_messages WHERE direction = 'inbound' AND handled_at IS NULL"


async def storm(talk: Talk, count: int, rate_per_s: float) -> list[str]:
    """Let twenty people write at a steady rate; waits until every webhook was answered 2xx. Returns the texts."""
    report = await talk.system.simulator.batch(
        talk.name, count=count, people=20, text="question {i}. from {person}", rate_per_s=rate_per_s, wait_s=110
    )
    while not report["done"]:
        report = await talk.system.simulator.get(f"batch/{report['batch']}", timeout_s=100)
    assert report["settled"] == count, str(report)[:600]
    rows = await talk.rows("SELECT content FROM chat_messages WHERE direction = 'inbound'")
    return [row.content for row in rows]


async def settled(talk: Talk) -> None:
    """Wait until everything has reached a terminal state."""
    await talk.until(UNHANDLED, 0, timeout_s=180)
    await talk.until(OPEN_PARTS, 0, timeout_s=180)


async def kill_repeatedly(system: System, victim: Process, every_s: float, times: int) -> None:
    """Kill a process and start it again at once, as a supervisor would."""
    for _ in range(times):
        await asyncio.sleep(every_s)
        await victim.kill()
        victim.start()
    await system.ready()


async def survive(
    system: System, victim: Process, *, count: int, rate_per_s: float, every_s: float, times: int
) -> None:
    """Load both platforms while a process is killed, and judge what came of it."""
    talks = [await system.open_talk("slack"), await system.open_talk("telegram")]
    killing = asyncio.create_task(kill_repeatedly(system, victim, every_s, times))
    asked = await asyncio.gather(*(storm(talk, count, rate_per_s) for talk in talks))
    await killing
    for talk, texts in zip(talks, asked, strict=True):
        await settled(talk)
        verdict = await check(talk, texts)
        assert verdict.asked == count
        assert (verdict.lost, verdict.doubled, verdict.unstored, verdict.called_twice) == ([], [], [], []), verdict
        assert verdict.answered_once + verdict.unknown == count
        if talk.platform == "slack":
            assert verdict.unknown == 0, verdict


class TestJudge:
    def test_finds_what_is_lost_doubled_or_stored_twice(self) -> None:
        verdict = judge(
            ["a.", "b.", "c.", "d."],
            ["a.", "b.", "b.", "c.", "d."],
            Counter({"c.": 2}),
            ["> a.", "> a.", "> c."],
            {"d."},
        )
        assert verdict == Verdict(4, 1, 1, ["b."], ["a."], ["b."], ["c."])


class TestShort:
    async def test_one_kill_of_each_under_load(self, system: System) -> None:
        for victim in (system.worker, system.api):
            await survive(system, victim, count=20, rate_per_s=5, every_s=2, times=1)


@pytest.mark.full
class TestMinute:
    async def test_the_worker_every_five_seconds(self, system: System) -> None:
        await survive(system, system.worker, count=300, rate_per_s=5, every_s=5, times=12)

    async def test_the_api_every_five_seconds(self, system: System) -> None:
        await survive(system, system.api, count=300, rate_per_s=5, every_s=5, times=12)
